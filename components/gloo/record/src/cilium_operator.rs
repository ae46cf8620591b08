//! The Cilium operator and what it gives to nodes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Counts, PodState};

/// What was found about the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CiliumOperator {
    /// Of Deployment `cilium-operator`; absent when there is none.
    pub deployment: Option<Counts>,
    pub pods: Vec<PodState>,
    pub lease: Option<Lease>,
    /// Nodes without a pod range.
    pub nodes_without_pod_cidr: Vec<String>,
    /// Nodes that still have the taint `node.cilium.io/agent-not-ready`.
    pub nodes_not_ready: Vec<String>,
    /// Pod ranges given to nodes.
    pub pod_cidrs_used: u64,
    /// Pod ranges there are in the pools; absent when the configuration does not say.
    pub pod_cidrs_total: Option<u64>,
    /// CiliumIdentities there are.
    pub identities: u64,
}

/// Who leads, and since when nobody heard from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    pub name: String,
    pub holder: Option<String>,
    pub renewed: Option<Timestamp>,
    /// Seconds after which a renewal is overdue.
    pub duration: Option<i32>,
}
