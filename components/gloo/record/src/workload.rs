//! Pods and what makes them, as far as every analyzer says the same about them.

use serde::{Deserialize, Serialize};

/// Pods a DaemonSet or Deployment wants and has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub desired: i32,
    pub ready: i32,
    /// Of the newest template.
    pub updated: i32,
    /// The newest generation has been seen by its controller.
    pub observed: bool,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState {
    pub namespace: String,
    pub name: String,
    pub node: String,
    pub ready: bool,
    /// Of all its containers.
    pub restarts: u32,
    /// Why a container last ended, as `OOMKilled`; or why it waits, as `CrashLoopBackOff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl PodState {
    /// `namespace/name`.
    pub fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
