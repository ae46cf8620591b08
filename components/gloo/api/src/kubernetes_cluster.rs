//! A cluster that takes part. Lives in the management cluster, in the namespace `gloo-mesh`; its name is the cluster's.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Common;

/// A cluster that takes part.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "admin.gloo.solo.io",
    version = "v2",
    kind = "KubernetesCluster",
    plural = "kubernetesclusters",
    shortname = "kc",
    namespaced,
    status = "KubernetesClusterStatus",
    derive = "PartialEq",
    doc = "A cluster that takes part. Its labels are what workspaces select it by.",
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')").message("the name is the cluster's, which is in its certificate: lower-case letters, digits and '-', a letter first, at most 63"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.common.State.approval"),
    printcolumn(name = "Connected", type_ = "string", json_path = ".status.conditions[?(@.type==\"Connected\")].status"),
    printcolumn(name = "Warmed", type_ = "string", json_path = ".status.conditions[?(@.type==\"Warmed\")].status"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.common.State.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesClusterSpec {
    /// DNS domain of the cluster's Services.
    #[serde(default = "cluster_domain")]
    #[schemars(length(min = 1, max = 253))]
    pub cluster_domain: String,
    /// Push to other clusters although nothing has been heard from this one since the store was lost.
    #[serde(default)]
    pub skip_warming: bool,
}

fn cluster_domain() -> String {
    "cluster.local".to_owned()
}

/// What the management server says about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KubernetesClusterStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
    /// `Connected`, `Warmed`, `Held`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ClusterCondition>,
}

impl KubernetesClusterStatus {
    /// The condition of a type.
    pub fn condition(&self, type_: &str) -> Option<&ClusterCondition> {
        self.conditions
            .iter()
            .find(|condition| condition.type_ == type_)
    }
}

impl ClusterCondition {
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// Which replica of the server says so, where the message names one.
    pub fn by(&self) -> Option<&str> {
        self.message.strip_prefix("by ")
    }
}

/// One condition of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word for programs.
    #[serde(default)]
    pub reason: String,
    /// A sentence for people.
    #[serde(default)]
    pub message: String,
    /// When `status` last changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// Generation this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
