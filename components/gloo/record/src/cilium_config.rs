//! Cilium's configuration, and whether the nodes run with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was found of the ConfigMap `cilium-config` and of the agents that read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CiliumConfig {
    /// Absent when there is no such ConfigMap.
    pub data: Option<BTreeMap<String, String>>,
    /// SHA-256 over `data`, in hexadecimal.
    pub digest: String,
    pub nodes: Vec<Running>,
    /// Nodes whose agent could not be asked.
    pub unknown: Vec<String>,
    /// DaemonSet `kube-proxy` of kube-system: nodes it runs on.
    pub kube_proxy_nodes: u32,
}

impl CiliumConfig {
    /// The value of a key; `None` also when there is no ConfigMap.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.data.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether the key is there and `true`.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }
}

/// The configuration an agent runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    pub node: String,
    pub digest: String,
}
