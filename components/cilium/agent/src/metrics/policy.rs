//! Policies and connections in numbers.

use std::collections::BTreeSet;

use cilium_api::policy::{MOST_UNPLACED, Unplaced};

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
        too_large(&agent.policies.unplaced()),
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

/// Their sum is how many there are: the series without a name counts those that have none of their own, and says that somebody
/// counted. Not Cilium's.
fn too_large(unplaced: &BTreeSet<Unplaced>) -> Metric {
    let row = |[kind, namespace, name]: [&str; 3], value| {
        let labels = vec![
            ("kind", kind.to_owned()),
            ("namespace", namespace.to_owned()),
            ("name", name.to_owned()),
        ];
        (labels, value)
    };
    let others = unplaced.len().saturating_sub(MOST_UNPLACED);
    let named = unplaced.iter().take(MOST_UNPLACED);
    let named = named.map(|policy| row([&policy.kind, &policy.namespace, &policy.name], 1.0));
    gauge(
        "policy_too_large",
        "Policies that the datapath has no room for; the old entries stay",
        named.chain([row([""; 3], count(others))]).collect(),
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
            row("ct4_global", &found.connections_shed),
            row("snat", &found.translations_shed),
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

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::super::snapshot::Snapshot;
    use super::*;

    #[test]
    fn a_thousand_policies_without_room_are_fifty_one_series_and_a_thousand_in_sum() {
        let policy = |number| Unplaced {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("p{number:04}"),
        };
        let unplaced = (0..1000).map(policy).collect();
        let mut registry = Registry::with_prefix("cilium");
        registry.register_collector(Box::new(Snapshot::of(vec![too_large(&unplaced)])));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values: Vec<f64> = samples
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(values.len(), 51, "{text}");
        assert!((values.iter().sum::<f64>() - 1000.0).abs() < 0.1, "{text}");
    }
}
