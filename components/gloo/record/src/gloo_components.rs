//! The platform's own parts, its GlooNetwork, and the Gloo resources of the cluster.

use serde::{Deserialize, Serialize};

use crate::{Counts, PodState, cilium_operator::Lease};

/// What was found about the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlooComponents {
    /// Absent when there is none.
    pub network: Option<Network>,
    pub workloads: Vec<Workload>,
    pub pods: Vec<PodState>,
    pub leases: Vec<Lease>,
    /// Workspaces, settings and policies whose State is not ACCEPTED.
    pub resources: Vec<Resource>,
}

/// The GlooNetwork.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    pub version: String,
    pub role: String,
    /// Status of condition Available: `True`, `False`, `Unknown`.
    pub available: String,
    /// Its message.
    pub message: String,
    /// `paused` until or for good, with the reason.
    pub paused: Option<String>,
    /// Where Redis and Prometheus keep nothing over a restart of their pod.
    pub volatile_stores: Vec<String>,
    /// Replicas of the management server; absent where there is none.
    pub management_replicas: Option<u32>,
}

/// A workload in gloo-mesh or gloonet-system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    pub namespace: String,
    /// Deployment or DaemonSet.
    pub kind: String,
    pub name: String,
    pub counts: Counts,
    /// Tag of its first container's image.
    pub version: String,
    /// One of ours, whose version is the release's.
    pub ours: bool,
    /// Containers without a memory limit.
    pub unlimited: Vec<String>,
}

/// A Gloo resource that is not as its author wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// PENDING, WARNING, INVALID, FAILED.
    pub approval: String,
    pub message: String,
}
