//! What is shown and counted of flows.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::switch::Switch;

/// What the agents show of the flows they see: Hubble's API on a socket of each node and, over mutual TLS, on port 4244.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hubble {
    /// Enabled or Disabled.
    #[serde(default = "Switch::enabled")]
    pub state: Switch,
    /// Flows each agent keeps; the next power of two less one counts, as in Cilium.
    #[serde(default = "default_flow_buffer")]
    #[schemars(range(min = 1, max = 65535))]
    #[schemars(extend("format" = "int32"))]
    pub flow_buffer: u16,
    /// What agents count of the flows, each entry as in Cilium: `name:option;option`, for example
    /// `drop:sourceContext=pod|ip;labelsContext=source_namespace`. There are drop, flow, flows-to-world, icmp, port-distribution
    /// and tcp, each once. Dashboards and dry runs of policies need the `flow` of the default. An empty list counts nothing.
    #[serde(default = "default_metrics")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 1024)))]
    pub metrics: Vec<String>,
    /// The flows of all nodes in one stream.
    #[serde(default)]
    pub relay: HubbleRelay,
}

/// Hubble's relay: asks every agent, and answers `hubble` and Hubble's UI with the flows of all nodes in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HubbleRelay {
    /// Enabled or Disabled. Without Hubble there is none.
    #[serde(default = "Switch::enabled")]
    pub state: Switch,
}

impl Default for HubbleRelay {
    fn default() -> Self {
        Self {
            state: Switch::Enabled,
        }
    }
}

fn default_flow_buffer() -> u16 {
    4095
}

/// Series grow with pairs of namespaces or workloads, never with pods.
fn default_metrics() -> Vec<String> {
    [
        "drop:labelsContext=source_namespace,destination_namespace",
        "flow:requests-only;workloads-only;labelsContext=source_namespace,source_workload,destination_namespace,destination_workload",
        "icmp:labelsContext=source_namespace,destination_namespace",
        "tcp:labelsContext=source_namespace,destination_namespace",
    ]
    .map(str::to_owned)
    .into()
}

impl Default for Hubble {
    fn default() -> Self {
        Self {
            state: Switch::Enabled,
            flow_buffer: default_flow_buffer(),
            metrics: default_metrics(),
            relay: HubbleRelay::default(),
        }
    }
}
