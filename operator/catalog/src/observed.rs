//! What was seen in the cluster, in the words the catalog judges with. Filled by the cluster crate.

use std::collections::BTreeMap;
use std::fmt;

/// One look at everything a component's health depends on. Whatever is absent here is absent in the cluster: of what could
/// not be read nobody is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    pub workloads: Vec<Workload>,
    pub pods: Vec<PodObservation>,
    /// Results of the component's own probes; empty while they have not run.
    pub probes: Vec<ProbeResult>,
    /// Results of the look before, for what is judged by its change; empty at first.
    pub earlier: Vec<ProbeResult>,
    /// Names of the CustomResourceDefinitions whose condition Established is True.
    pub established_crds: Vec<String>,
    /// `namespace/name` of Secrets that hold every key they must.
    pub complete_secrets: Vec<String>,
    /// CiliumNode name to its podCIDRs.
    pub cilium_nodes: BTreeMap<String, Vec<String>>,
    /// Names of the nodes that agents run on.
    pub nodes: Vec<String>,
    /// `namespace/name` of ConfigMaps that exist.
    pub config_maps: Vec<String>,
}

/// Kind of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    Deployment,
    DaemonSet,
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
        })
    }
}

/// Names one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    pub kind: WorkloadKind,
    pub namespace: &'static str,
    pub name: &'static str,
    /// Label that all its pods carry and nothing else in the namespace does.
    pub pod_label: (&'static str, &'static str),
}

impl WorkloadRef {
    /// Whether a pod is one of its.
    pub(crate) fn owns(&self, pod: &PodObservation) -> bool {
        let (label, value) = self.pod_label;
        pod.namespace == self.namespace && pod.labels.get(label).is_some_and(|v| v == value)
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The counts of one Deployment or DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub observed_generation: i64,
    pub desired: i32,
    /// Pods there are, of this template and of older ones.
    pub pods: i32,
    pub updated: i32,
    pub ready: i32,
    pub available: i32,
    /// Unready pods a normal rollout may have at once.
    pub max_unavailable: i32,
}

/// One pod, reduced to what a diagnosis needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodObservation {
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub node: Option<String>,
    pub ip: Option<String>,
    pub phase: String,
    pub ready: bool,
    pub deleting: bool,
    pub restarts: i32,
    /// Why the pod is not ready, worst first.
    pub troubles: Vec<Trouble>,
}

/// One reason why a pod is not ready: a container's waiting or last termination reason, or the scheduler's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Container, or `None` for the pod as a whole (scheduling).
    pub container: Option<String>,
    /// As Kubernetes writes it: `CrashLoopBackOff`, `ErrImagePull`, `ImagePullBackOff`, `OOMKilled`, `Unschedulable`, …
    pub reason: String,
    pub message: String,
}

/// What one probe measured at one target.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// [`crate::Probe::name`].
    pub probe: String,
    /// Pod name (`namespace/name`) or address.
    pub target: String,
    pub outcome: ProbeOutcome,
}

/// Result of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum ProbeOutcome {
    /// It answered; the values are those its [`crate::ProbeKind`] documents.
    Answered { values: BTreeMap<String, f64> },
    /// It did not, or the answer was wrong; a sentence without secrets.
    Failed { reason: String },
    /// There was nothing to measure (no running pod).
    NoTarget,
}
