//! How Services are balanced, as `/v1/healthz` says it: of Cilium's model what is true here.

use serde::{Deserialize, Serialize};

/// Field `kube-proxy-replacement`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KubeProxyReplacement {
    pub mode: String,
    /// An older agent says nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
}

/// What is balanced and how; cilium-cli chooses its tests by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Whether pods' sockets are left out.
    #[serde(rename = "bpfSocketLBHostnsOnly")]
    pub socket_lb_hostns_only: bool,
    #[serde(rename = "socketLB")]
    pub socket_lb: Enabled,
    pub node_port: NodePort,
    pub host_port: Enabled,
    #[serde(rename = "externalIPs")]
    pub external_ips: Enabled,
    pub session_affinity: Enabled,
    pub graceful_termination: Enabled,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Enabled {
    pub enabled: bool,
}

/// What holds for traffic from outside, node port or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePort {
    pub enabled: bool,
    /// `SNAT`: the node stands in for clients of endpoints elsewhere.
    pub mode: String,
    /// `Random` or `Maglev`.
    pub algorithm: String,
    /// `Disabled` without XDP.
    pub acceleration: String,
    /// Slots of a table of Maglev's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lut_size: Option<u32>,
}
