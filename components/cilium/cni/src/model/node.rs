//! `GET /v1/cluster/nodes`.

use serde::{Deserialize, Serialize};

use super::NodeAddressing;

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
    /// The node's own address, and the range of its pods.
    pub primary_address: NodeAddressing,
    pub source: String,
}
