//! Policies and connections in numbers.

use super::snapshot::{Metric, count, counter, float, gauge, read};
use crate::agent::Agent;

pub(super) fn policy(agent: &Agent) -> Vec<Metric> {
    let one = |value| vec![(Vec::new(), value)];
    let policies = agent
        .policies
        .with(|repository| repository.policies().count());
    vec![
        gauge(
            "policy",
            "Policies in force on this node",
            one(count(policies)),
        ),
        gauge(
            "policy_max_revision",
            "How often the resolved policies have changed",
            one(float(agent.policies.revision())),
        ),
        gauge(
            "policy_too_large",
            "Policies whose entries do not fit; the old ones stay",
            one(count(agent.policies.too_large().len())),
        ),
        changes(agent),
        connections(agent),
        resets(),
        rounds(agent),
        shed(agent),
        lost(agent),
    ]
}

/// A policy that is followed in part only, and one that cannot be read at all, is a failure.
fn changes(agent: &Agent) -> Metric {
    let changes = agent.policies.changes();
    let watched = &agent.watched;
    let unreadable = read(&watched.network_policies.seen.undecodable)
        + read(&watched.policies.seen.undecodable)
        + read(&watched.clusterwide_policies.seen.undecodable);
    let row = |outcome: &str, value| (vec![("outcome", outcome.to_owned())], value);
    counter(
        "policy_change",
        "Policies that were written or deleted, by whether all of them is followed",
        vec![
            row("success", float(changes.whole)),
            row("fail", float(changes.in_part) + unreadable),
        ],
    )
}

/// Always none: the table is read bucket by bucket, and an entry that goes meanwhile sends nobody back to the beginning.
fn resets() -> Metric {
    let labels = vec![
        ("area", "conntrack".to_owned()),
        ("name", "dump_interrupts".to_owned()),
        ("family", "ipv4".to_owned()),
    ];
    counter(
        "datapath_conntrack_dump_resets",
        "Times that reading the table of connections had to begin anew",
        vec![(labels, 0.0)],
    )
}

/// As the last round found them.
fn connections(agent: &Agent) -> Metric {
    let found = &agent.tally.flows;
    let rows = [
        ("TCP", "alive", &found.tcp_alive),
        ("TCP", "deleted", &found.tcp_deleted),
        ("non-TCP", "alive", &found.other_alive),
        ("non-TCP", "deleted", &found.other_deleted),
    ];
    let series = rows
        .map(|(protocol, status, value)| {
            let labels = vec![
                ("family", "ipv4".to_owned()),
                ("protocol", protocol.to_owned()),
                ("status", status.to_owned()),
            ];
            (labels, read(value))
        })
        .into();
    gauge(
        "datapath_conntrack_gc_entries",
        "Connections that were kept and removed when the table was last looked through",
        series,
    )
}

fn rounds(agent: &Agent) -> Metric {
    let found = &agent.tally.flows;
    let failed = read(&found.failed);
    let row = |status: &str, value| {
        let labels = vec![
            ("family", "ipv4".to_owned()),
            ("protocol", "all".to_owned()),
            ("status", status.to_owned()),
        ];
        (labels, value)
    };
    counter(
        "datapath_conntrack_gc_runs",
        "Times the table of connections was looked through",
        vec![
            row("completed", read(&found.runs) - failed),
            row("uncompleted", failed),
        ],
    )
}

/// Not Cilium's: its tables forget whatever was used longest ago.
fn shed(agent: &Agent) -> Metric {
    let found = &agent.tally.flows;
    let row = |map: &str, value| (vec![("map_name", map.to_owned())], read(value));
    counter(
        "datapath_conntrack_shed",
        "Entries forgotten before their time because those who hold them crowd the table",
        vec![
            row("cilium_ct4_global", &found.connections_shed),
            row("cilium_snat", &found.translations_shed),
        ],
    )
}

fn lost(agent: &Agent) -> Metric {
    let lost = agent.datapath.lost_events().unwrap_or_default();
    counter(
        "events_lost",
        "Events of the datapath that were not read in time",
        vec![(vec![("source", "kernel_buffer".to_owned())], float(lost))],
    )
}
