//! Pods and workloads, as records say them.

use gloo_record::{Counts, PodState};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::ResourceExt;

/// The pod in short.
pub fn state(pod: &Pod) -> PodState {
    let statuses = statuses(pod);
    PodState {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        node: node(pod).to_owned(),
        ready: ready(pod),
        restarts: statuses
            .iter()
            .map(|status| u32::try_from(status.restart_count).unwrap_or_default())
            .sum(),
        trouble: statuses.iter().find_map(trouble),
    }
}

fn statuses(pod: &Pod) -> &[ContainerStatus] {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default()
}

/// Why a container waits or last ended. A wait that every start has is none.
fn trouble(status: &ContainerStatus) -> Option<String> {
    let waits = |state: &ContainerState| {
        let reason = state.waiting.as_ref()?.reason.clone()?;
        (reason != "ContainerCreating" && reason != "PodInitializing").then_some(reason)
    };
    let ended = |state: &ContainerState| state.terminated.as_ref()?.reason.clone();
    let now = status.state.as_ref();
    now.and_then(waits)
        .or_else(|| status.last_state.as_ref().and_then(ended))
}

/// The node it was put on; empty before that.
pub fn node(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

/// Condition Ready is True.
pub fn ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Phase Running.
pub fn running(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    status.and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// Phase Succeeded or Failed: it is only kept to be read.
pub fn ended(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// It shares the node's network.
pub fn on_host_network(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.host_network).unwrap_or_default()
}

/// Whether it has a label of that value.
pub fn labelled(pod: &Pod, label: &str, value: &str) -> bool {
    pod.labels().get(label).is_some_and(|given| given == value)
}

/// Last part of an image's path, and its tag; without registry and digest.
pub fn image_name(image: &str) -> (&str, &str) {
    let plain = image.split('@').next().unwrap_or_default();
    let last = plain.rsplit('/').next().unwrap_or_default();
    last.split_once(':').unwrap_or((last, ""))
}

/// Pods of a DaemonSet.
pub fn of_daemonset(set: &DaemonSet) -> Counts {
    let status = set.status.as_ref();
    Counts {
        desired: status.map_or(0, |status| status.desired_number_scheduled),
        ready: status.map_or(0, |status| status.number_ready),
        updated: status
            .and_then(|status| status.updated_number_scheduled)
            .unwrap_or_default(),
        observed: status.and_then(|status| status.observed_generation) == set.metadata.generation,
    }
}

/// Pods of a Deployment.
pub fn of_deployment(deployment: &Deployment) -> Counts {
    let (spec, status) = (deployment.spec.as_ref(), deployment.status.as_ref());
    Counts {
        desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        ready: status
            .and_then(|status| status.ready_replicas)
            .unwrap_or_default(),
        updated: status
            .and_then(|status| status.updated_replicas)
            .unwrap_or_default(),
        observed: status.and_then(|status| status.observed_generation)
            == deployment.metadata.generation,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        let mut pod = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"nodeName": "w", "containers": []}});
        pod["status"] = status;
        serde_json::from_value(pod).unwrap()
    }

    fn container(state: serde_json::Value, last: serde_json::Value) -> serde_json::Value {
        json!({"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 2, "state": state, "lastState": last})
    }

    #[test]
    fn why_a_container_waits_or_last_ended_is_told() {
        let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let waits = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let running = json!({"running": {}});
        let of = |state: &serde_json::Value, last: &serde_json::Value| {
            state_of(&json!([container(state.clone(), last.clone())]))
        };
        assert_eq!(of(&running, &ended).trouble.as_deref(), Some("OOMKilled"));
        assert_eq!(
            of(&waits, &ended).trouble.as_deref(),
            Some("CrashLoopBackOff")
        );
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(of(&creating, &json!({})).trouble, None);
        assert_eq!(of(&running, &ended).restarts, 2);
    }

    fn state_of(statuses: &serde_json::Value) -> PodState {
        state(&pod(
            json!({"phase": "Running", "containerStatuses": statuses}),
        ))
    }

    #[test]
    fn a_pod_without_a_status_is_not_ready_and_nothing_more() {
        let state = state(&pod(json!({})));
        assert!(!state.ready && state.trouble.is_none() && state.node == "w");
    }
}
