//! `GET /v1/cluster/nodes`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterNodeStatus {
    /// Every node known: there are no clients that ask for changes only.
    pub nodes_added: Vec<NodeElement>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeElement {
    /// `cluster/node`.
    pub name: String,
    pub primary_address: PrimaryAddress,
    pub source: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrimaryAddress {
    pub ipv4: NodeAddress,
}

/// Empty where the node has not said it yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeAddress {
    /// The range of its pods.
    pub alloc_range: String,
    pub enabled: bool,
    /// The node's own.
    pub ip: String,
}
