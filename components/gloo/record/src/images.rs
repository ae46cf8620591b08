//! Images that run in the platform's namespaces, beside what the release says.

use serde::{Deserialize, Serialize};

/// What was found about images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    pub containers: Vec<Container>,
    /// Registries the installation names.
    pub registries: Vec<String>,
}

/// A container of a workload; all its pods that run the same count once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub namespace: String,
    /// As `Deployment/gloo-mesh-agent`.
    pub workload: String,
    pub container: String,
    /// As the pod names it.
    pub image: String,
    /// Digests that run, `sha256:…`; more than one means that the tag moved between two pulls.
    pub digests: Vec<String>,
    pub pull_policy: String,
    /// What the release names for it; absent for what is not ours.
    pub expected: Option<String>,
}
