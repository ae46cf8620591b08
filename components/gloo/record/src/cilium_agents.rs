//! The Cilium agents: how each is, by Kubernetes, by its health port and by its metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Counts, PodState};

/// What was found about the agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CiliumAgents {
    /// Of DaemonSet `cilium`; absent when there is none.
    pub daemonset: Option<Counts>,
    pub agents: Vec<Agent>,
    /// Running pods with an address of the pod network that have no CiliumEndpoint, `namespace/name`; the first hundred.
    pub unmanaged_pods: Vec<String>,
    /// How many there are.
    pub unmanaged: usize,
}

impl CiliumAgents {
    /// Nodes whose agent's metrics could not be read.
    pub fn unread(&self) -> Vec<&str> {
        let unread = self.agents.iter().filter(|agent| agent.metrics.is_none());
        unread.map(|agent| agent.pod.node.as_str()).collect()
    }
}

/// One agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    pub pod: PodState,
    pub health: Health,
    /// Absent when the metrics could not be read; `health` says no more about that.
    pub metrics: Option<Metrics>,
    /// Runs privileged.
    pub privileged: bool,
    /// Capabilities its container adds.
    pub capabilities: Vec<String>,
}

/// What an agent answers about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    #[default]
    Ok,
    /// It answers, and is not well: its own words.
    Failing(String),
    /// It does not answer, and what was tried.
    NoAnswer(String),
}

/// Some of an agent's metrics, under Cilium's names without `cilium_`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// `version`.
    pub version: Option<String>,
    /// `controllers_failing`.
    pub controllers_failing: Option<u64>,
    /// `bpf_map_pressure` by map, from 0 to 1.
    pub map_pressure: BTreeMap<String, f64>,
    /// `drop_count_total` by reason, since the agent's maps were made.
    pub drops: BTreeMap<String, u64>,
    /// `endpoint_state` of every state but `ready`.
    pub endpoints_not_ready: u64,
    /// `policy_too_large`: policies that did not fit their map.
    pub policies_too_large: Option<u64>,
    /// `ip_addresses` in use.
    pub addresses_used: Option<u64>,
    /// `ipam_capacity`.
    pub addresses_total: Option<u64>,
}
