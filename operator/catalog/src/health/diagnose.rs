//! Why pods are not ready, in one sentence: reason, counts, the first pods by name, what Kubernetes said.

use std::collections::BTreeMap;

use crate::{Observed, PodObservation, Trouble, WorkloadRef};

/// Reasons that do not pass by themselves, and what helps.
const LASTING: [(&str, &str); 11] = [
    (
        "CrashLoopBackOff",
        "see its log with kubectl logs --previous",
    ),
    ("Error", "see its log with kubectl logs --previous"),
    ("OOMKilled", "raise its memory limit"),
    (
        "ErrImagePull",
        "check the image reference, the registry and pull secrets",
    ),
    (
        "ImagePullBackOff",
        "check the image reference, the registry and pull secrets",
    ),
    (
        "InvalidImageName",
        "check images.registry and images.overrides",
    ),
    (
        "ErrImageNeverPull",
        "import the image on the node or change images.pullPolicy",
    ),
    (
        "CreateContainerConfigError",
        "a referenced Secret or ConfigMap key is missing",
    ),
    (
        "CreateContainerError",
        "the container runtime refused the container",
    ),
    (
        "RunContainerError",
        "the container runtime could not start the container",
    ),
    (
        "Unschedulable",
        "no node fits; check node resources and taints",
    ),
];
/// Pods named in a sentence; the others are counted.
const NAMED: usize = 3;

pub(super) struct Diagnosis {
    /// It will not pass by itself.
    pub(super) lasting: bool,
    pub(super) sentence: String,
}

/// The worst reason among the workload's pods; `None` when no pod gives one.
pub(super) fn pods(observed: &Observed, workload: &WorkloadRef) -> Option<Diagnosis> {
    let mine = |pod: &&PodObservation| !pod.ready && !pod.deleting && workload.owns(pod);
    let mut by_reason: BTreeMap<&str, Vec<(&PodObservation, &Trouble)>> = BTreeMap::new();
    for pod in observed.pods.iter().filter(mine) {
        if let Some(trouble) = worst(&pod.troubles) {
            by_reason
                .entry(&trouble.reason)
                .or_default()
                .push((pod, trouble));
        }
    }
    let (reason, affected) = by_reason
        .into_iter()
        .max_by_key(|(reason, pods)| (cure(reason).is_some(), pods.len()))?;
    Some(Diagnosis {
        lasting: cure(reason).is_some(),
        sentence: sentence(reason, &affected),
    })
}

fn worst(troubles: &[Trouble]) -> Option<&Trouble> {
    troubles
        .iter()
        .find(|trouble| cure(&trouble.reason).is_some())
        .or_else(|| troubles.first())
}

fn cure(reason: &str) -> Option<&'static str> {
    LASTING
        .iter()
        .find(|(known, _)| *known == reason)
        .map(|(_, cure)| *cure)
}

fn sentence(reason: &str, affected: &[(&PodObservation, &Trouble)]) -> String {
    let names: Vec<String> = affected
        .iter()
        .take(NAMED)
        .map(|(pod, trouble)| {
            let node = pod
                .node
                .as_deref()
                .map(|node| format!(" on {node}"))
                .unwrap_or_default();
            let container = trouble
                .container
                .as_deref()
                .map(|name| format!(", container {name}"))
                .unwrap_or_default();
            let restarts = if pod.restarts > 0 {
                format!(", {} restarts", pod.restarts)
            } else {
                String::new()
            };
            format!("{}{node}{container}{restarts}", pod.name)
        })
        .collect();
    let more = if affected.len() > NAMED { ", …" } else { "" };
    let plural = if affected.len() == 1 { "pod" } else { "pods" };
    let said = affected
        .first()
        .map(|(_, trouble)| trouble.message.as_str())
        .filter(|message| !message.is_empty());
    let said = said
        .map(|message| format!(": {message}"))
        .unwrap_or_default();
    let cure = cure(reason)
        .map(|cure| format!("; {cure}"))
        .unwrap_or_default();
    format!(
        "{} {plural} {reason} ({}{more}){said}{cure}",
        affected.len(),
        names.join("; ")
    )
}
