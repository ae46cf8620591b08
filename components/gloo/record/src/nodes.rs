//! Nodes: what Kubernetes says, and what the agent on each sees.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was found about nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nodes {
    pub nodes: Vec<Node>,
}

impl Nodes {
    /// All nodes when no agent told of its own; none when one did. A node without an agent is no fault by itself.
    pub fn unseen(&self) -> Vec<&str> {
        if self.nodes.iter().any(|node| node.seen.is_some()) {
            return Vec::new();
        }
        self.nodes.iter().map(|node| node.name.as_str()).collect()
    }
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub name: String,
    pub kernel: String,
    pub os: String,
    pub kubelet: String,
    pub runtime: String,
    pub ready: bool,
    /// Pressure conditions that are true.
    pub pressures: Vec<String>,
    pub pods: u32,
    /// Pods the node takes.
    pub pod_capacity: u32,
    /// Absent when the agent on it could not be asked.
    pub seen: Option<Seen>,
}

/// What the agent on a node sees there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// How far its clock is ahead of the analyzer's, in milliseconds, less the way.
    pub clock_ahead_ms: i64,
    /// Of the device of the node's address, in bytes.
    pub device_mtu: u32,
    /// That pods get, in bytes.
    pub pod_mtu: u32,
    /// Below `net`, as `ipv4.ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    /// The kernel has type information of itself.
    pub btf: bool,
    /// A cgroup v2 hierarchy is there for socket programs.
    pub cgroup2: bool,
}
