//! Where images come from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where images come from. The names and versions themselves are in the release lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// Registry that mirrors every image, for example `registry.example.org:5000/mirror`. Empty: each image's own registry.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub registry: String,
    /// Names of Secrets of type `kubernetes.io/dockerconfigjson`, which must exist in every namespace we deploy to.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub pull_secrets: Vec<String>,
    /// When the kubelet pulls.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Full image reference per component name, used as it is written.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Ask the registry at every start.
    Always,
    /// Pull only what the node does not hold.
    #[default]
    IfNotPresent,
    /// Never pull.
    Never,
}

impl PullPolicy {
    /// The word Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}
