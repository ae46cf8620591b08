//! How packets get from node to node, as `/v1/healthz` and `/v1/config` say it.

use serde::{Deserialize, Serialize};

/// How packets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RoutingStatus {
    /// Between nodes: `Tunnel` or `Native`.
    pub inter_host_routing_mode: String,
    /// On one node: `BPF`.
    pub intra_host_routing_mode: String,
    /// `vxlan`; empty without a tunnel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tunnel_protocol: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessOptions {
    /// `tunnel` or `native`.
    #[serde(rename = "RoutingMode", default)]
    pub routing_mode: String,
}
