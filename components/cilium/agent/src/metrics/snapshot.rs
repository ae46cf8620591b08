//! The node's numbers at the moment of a scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::bpf::{map_name, memory, operations};
use super::cluster_health::cluster_health;
use super::events::events;
use super::policy::policy;
use super::traffic::traffic;
use crate::agent::Agent;
use crate::api::endpoint::by_state;

/// One metric with all its series.
#[derive(Debug)]
pub(super) struct Metric {
    name: &'static str,
    help: &'static str,
    counter: bool,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
}

#[derive(Debug)]
pub(super) struct Snapshot(Vec<Metric>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for metric in &self.0 {
            let kind = if metric.counter {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            if let [(labels, value)] = metric.series.as_slice()
                && labels.is_empty()
            {
                ConstGauge::new(*value).encode(family)?;
                continue;
            }
            for (labels, value) in &metric.series {
                let one = family.encode_family(labels)?;
                if metric.counter {
                    ConstCounter::new(*value).encode(one)?;
                } else {
                    ConstGauge::new(*value).encode(one)?;
                }
            }
        }
        Ok(())
    }
}

impl Snapshot {
    #[cfg(test)]
    pub(super) fn of(metrics: Vec<Metric>) -> Self {
        Self(metrics)
    }

    pub(super) fn take(agent: &Arc<Agent>) -> Self {
        let mut metrics = vec![
            version(),
            endpoint_states(agent),
            enforcement(agent),
            addresses(agent),
            capacity(agent),
        ];
        metrics.extend(traffic(&agent.datapath.counters().unwrap_or_default()));
        metrics.push(pressure(agent));
        metrics.extend(memory());
        metrics.push(operations(agent.datapath.map_operations()));
        metrics.extend(policy(agent));
        metrics.extend(cluster(agent));
        metrics.extend(events(&agent.watched));
        metrics.extend(work(agent));
        if let Some(health) = agent.cluster_health.get() {
            metrics.extend(cluster_health(&health.report()));
        }
        Self(metrics)
    }
}

pub(super) fn gauge(
    name: &'static str,
    help: &'static str,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
) -> Metric {
    Metric {
        name,
        help,
        counter: false,
        series,
    }
}

pub(super) fn counter(
    name: &'static str,
    help: &'static str,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
) -> Metric {
    Metric {
        name,
        help,
        counter: true,
        series,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point; counts beyond 2^53 are not reached"
)]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

pub(super) fn count(value: usize) -> f64 {
    float(value as u64)
}

pub(super) fn read(value: &AtomicU64) -> f64 {
    float(value.load(Ordering::Relaxed))
}

fn version() -> Metric {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("revision", "gloonet".to_owned()),
        ("arch", std::env::consts::ARCH.to_owned()),
    ];
    gauge("version", "Version of the agent", vec![(labels, 1.0)])
}

fn endpoint_states(agent: &Agent) -> Metric {
    let series = by_state(&agent.endpoints.list())
        .into_iter()
        .map(|(state, number)| (vec![("endpoint_state", state.to_owned())], count(number)))
        .collect();
    gauge("endpoint_state", "Endpoints by state", series)
}

fn enforcement(agent: &Agent) -> Metric {
    let words: Vec<&str> = agent
        .endpoints
        .list()
        .iter()
        .map(|endpoint| {
            let enforcement = agent.policies.enforcement(endpoint.policy);
            enforcement.unwrap_or_default().word()
        })
        .collect();
    let series = ["none", "ingress", "egress", "both", "audit-both"]
        .map(|kind| {
            let number = words.iter().filter(|word| **word == kind).count();
            (vec![("enforcement", kind.to_owned())], count(number))
        })
        .into();
    gauge(
        "policy_endpoint_enforcement_status",
        "Endpoints by enforcement of policies",
        series,
    )
}

fn addresses(agent: &Agent) -> Metric {
    let used = count(agent.endpoints.allocations().len());
    gauge(
        "ip_addresses",
        "Addresses in use",
        vec![(vec![("family", "ipv4".to_owned())], used)],
    )
}

fn capacity(agent: &Agent) -> Metric {
    let cidr = agent
        .own
        .pod_cidrs
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let labels = vec![("family", "ipv4".to_owned()), ("cidr", cidr)];
    gauge(
        "ipam_capacity",
        "Addresses that can be in use",
        vec![(labels, count(agent.endpoints.capacity()))],
    )
}

fn pressure(agent: &Agent) -> Metric {
    let maps = agent.datapath.map_pressure().unwrap_or_default();
    let series = maps
        .into_iter()
        .map(|map| {
            let share = f64::from(map.used) / f64::from(map.max.max(1));
            (vec![("map_name", map_name(map.name))], share)
        })
        .collect();
    gauge(
        "bpf_map_pressure",
        "Share of a map's entries in use",
        series,
    )
}

fn cluster(agent: &Agent) -> Vec<Metric> {
    let watched = &agent.watched;
    let interrupted = if watched.trouble().is_some() {
        1.0
    } else {
        0.0
    };
    vec![
        gauge(
            "nodes_all_num",
            "Nodes known",
            vec![(Vec::new(), count(watched.nodes.list().len()))],
        ),
        gauge(
            "identity",
            "Identities known",
            vec![(
                vec![("type", "cluster_local".to_owned())],
                count(agent.identities().len()),
            )],
        ),
        gauge(
            "controllers_failing",
            "Parts that do not work now",
            vec![(Vec::new(), count(agent.problems().len()) + interrupted)],
        ),
    ]
}

fn work(agent: &Agent) -> Vec<Metric> {
    let tally = &agent.tally;
    let by = |label: &'static str, value: &str, number: &AtomicU64| {
        (vec![(label, value.to_owned())], read(number))
    };
    let node = |event: &str, number: &AtomicU64| {
        let labels = vec![
            ("event_type", event.to_owned()),
            ("source", "custom-resource".to_owned()),
        ];
        (labels, read(number))
    };
    vec![
        counter(
            "services_events",
            "Services written to the datapath",
            vec![
                by("action", "update", &tally.services_updated),
                by("action", "delete", &tally.services_removed),
            ],
        ),
        counter(
            "endpoint_regenerations",
            "Endpoints written to the datapath",
            vec![
                by("outcome", "success", &tally.regenerations),
                by("outcome", "fail", &tally.regenerations_failed),
            ],
        ),
        counter(
            "nodes_all_events_received",
            "Changes of nodes",
            vec![
                node("update", &tally.nodes_updated),
                node("delete", &tally.nodes_removed),
            ],
        ),
    ]
}
