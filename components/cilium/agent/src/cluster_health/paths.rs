//! What is known of the ways to the cluster's nodes, and which are to be tried now. Pure: times and outcomes come in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cilium_cni::model::health::{
    Addresses, ConnectivityStatus, HealthStatus, NodeStatus, PathStatus, SelfStatus,
};
use jiff::Timestamp;
use serde::Serialize;

use super::schedule;
use crate::nodes::KnownNode;

/// Nodes that are not reached and named: who asks wants to know where to look, however many they are.
const NAMED: usize = 16;

/// A node as it is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// Its own address.
    pub host: Ipv4Addr,
    /// Its address on the pod network.
    pub endpoint: Option<Ipv4Addr>,
}

/// One question and how it ended: the time there and back, or what went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub at: Timestamp,
    pub result: Result<Duration, String>,
}

/// What one address said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// `None`: this agent cannot send echo requests.
    pub icmp: Option<Outcome>,
    pub http: Outcome,
}

impl Probed {
    fn failed(&self) -> bool {
        self.http.result.is_err() || self.icmp.as_ref().is_some_and(|icmp| icmp.result.is_err())
    }
}

/// What the addresses of a node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    pub host: Probed,
    pub endpoint: Option<Probed>,
}

#[derive(Debug)]
struct Node {
    target: Target,
    host: Option<Probed>,
    endpoint: Option<Probed>,
    due: Instant,
    attempt: u64,
    failures: u32,
    pod_network: Way,
}

/// One way, over all probes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// In a row. Without any it works, or was not tried yet.
    pub failures: u32,
    /// It worked at least once.
    pub worked: bool,
}

impl Way {
    fn works(self) -> bool {
        self.worked && self.failures == 0
    }

    fn record(&mut self, well: bool) {
        if well {
            self.failures = 0;
            self.worked = true;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
    }
}

/// What carries pods' packets, for the operator's gate: a node whose own address is behind a firewall is none the worse for pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Nodes there are, this one among them.
    pub known: usize,
    /// Nodes that answer on the pod network.
    pub reached: usize,
    /// Of the others the first by name.
    pub unreached: BTreeMap<String, Way>,
    /// Through the Service of the agents; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Way>,
}

#[derive(Debug)]
pub struct Paths {
    own: String,
    cluster: String,
    nodes: BTreeMap<String, Node>,
    service: Option<Way>,
    last: Timestamp,
}

impl Paths {
    pub fn new(own: &str, cluster: &str, began: Timestamp) -> Self {
        Self {
            own: own.to_owned(),
            cluster: cluster.to_owned(),
            nodes: BTreeMap::new(),
            service: None,
            last: began,
        }
    }

    /// Takes up new nodes and forgets those that are gone. One that moved is a new one.
    pub fn learn(&mut self, known: &[KnownNode], now: Instant) {
        let mut before = std::mem::take(&mut self.nodes);
        for node in known {
            let target = Target {
                name: node.name.clone(),
                host: node.ip,
                endpoint: node.router,
            };
            let kept = before
                .remove(&node.name)
                .filter(|kept| kept.target == target);
            let node = kept.unwrap_or_else(|| Node {
                due: now + schedule::first(schedule::seed(&self.own, &target.name, 0)),
                target,
                host: None,
                endpoint: None,
                attempt: 0,
                failures: 0,
                pod_network: Way::default(),
            });
            self.nodes.insert(node.target.name.clone(), node);
        }
    }

    pub fn all(&self) -> Vec<Target> {
        self.nodes
            .values()
            .map(|node| node.target.clone())
            .collect()
    }

    pub fn due(&self, now: Instant) -> Vec<Target> {
        let due = self.nodes.values().filter(|node| node.due <= now);
        due.map(|node| node.target.clone()).collect()
    }

    /// When the next one is due; `None` without nodes.
    pub fn next(&self) -> Option<Instant> {
        self.nodes.values().map(|node| node.due).min()
    }

    /// Writes down what a target said, unless it vanished or moved meanwhile.
    pub fn record(&mut self, target: &Target, found: Findings, now: Instant) {
        let interval = self.interval();
        let Some(node) = self.nodes.get_mut(&target.name) else {
            return;
        };
        if node.target != *target {
            return;
        }
        let failed = found.host.failed() || found.endpoint.as_ref().is_some_and(Probed::failed);
        node.failures = if failed {
            node.failures.saturating_add(1)
        } else {
            0
        };
        let pods = found.endpoint.as_ref().unwrap_or(&found.host);
        node.pod_network.record(pods.http.result.is_ok());
        node.attempt += 1;
        let seed = schedule::seed(&self.own, &target.name, node.attempt);
        node.due = now + schedule::next(interval, node.failures, seed);
        self.last = self.last.max(found.host.http.at);
        node.host = Some(found.host);
        node.endpoint = found.endpoint;
    }

    fn interval(&self) -> Duration {
        let addresses = |node: &Node| 1 + usize::from(node.target.endpoint.is_some());
        schedule::interval(self.nodes.values().map(addresses).sum())
    }

    /// Writes down whether the Service answered. `None`: there is no such Service.
    pub fn record_service(&mut self, answered: Option<bool>) -> Option<Way> {
        self.service = answered.map(|well| {
            let mut way = self.service.unwrap_or_default();
            way.record(well);
            way
        });
        self.service
    }

    pub fn carried(&self) -> Carried {
        let ways = self
            .nodes
            .iter()
            .map(|(name, node)| (name, node.pod_network));
        let (reached, unreached): (Vec<_>, Vec<_>) = ways.partition(|(_, way)| way.works());
        Carried {
            known: self.nodes.len(),
            reached: reached.len(),
            unreached: unreached
                .into_iter()
                .take(NAMED)
                .map(|(name, way)| (name.clone(), way))
                .collect(),
            service: self.service,
        }
    }

    pub fn report(&self) -> HealthStatus {
        let named = |name: &str| format!("{}/{name}", self.cluster);
        let nodes = self.nodes.values().map(|node| NodeStatus {
            name: named(&node.target.name),
            host: addresses(node.target.host, node.host.as_ref()),
            health_endpoint: node
                .target
                .endpoint
                .map(|ip| addresses(ip, node.endpoint.as_ref())),
        });
        HealthStatus {
            local: SelfStatus {
                name: named(&self.own),
            },
            nodes: nodes.collect(),
            probe_interval: as_go_writes(self.interval()),
            timestamp: to_the_second(self.last),
        }
    }
}

fn addresses(ip: Ipv4Addr, probed: Option<&Probed>) -> Addresses {
    let icmp = probed.and_then(|probed| probed.icmp.as_ref());
    Addresses {
        primary_address: PathStatus {
            ip: ip.to_string(),
            icmp: icmp.map(said),
            http: probed.map(|probed| said(&probed.http)),
        },
    }
}

fn said(outcome: &Outcome) -> ConnectivityStatus {
    let nanoseconds = |took: &Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    ConnectivityStatus {
        latency: outcome.result.as_ref().map_or(0, nanoseconds),
        status: outcome.result.as_ref().err().cloned().unwrap_or_default(),
        last_probed: to_the_second(outcome.at),
    }
}

/// RFC 3339 without fractions, as upstream writes it.
fn to_the_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn as_go_writes(time: Duration) -> String {
    let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
    format!("{minutes}m{seconds}s")
}

#[cfg(test)]
mod tests;
