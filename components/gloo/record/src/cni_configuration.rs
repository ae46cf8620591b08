//! CNI configuration files of the nodes.

use serde::{Deserialize, Serialize};

/// What was found in `/etc/cni/net.d` of each node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CniConfiguration {
    pub nodes: Vec<Node>,
    /// Nodes whose agent could not be asked.
    pub unknown: Vec<String>,
    /// The file Cilium installs.
    pub own: String,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub node: String,
    /// Files a runtime reads, in its order: the first one is used.
    pub files: Vec<String>,
}
