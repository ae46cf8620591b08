//! Why a pod is not ready, in words that do not change from minute to minute.

use gloonet_catalog::{PodObservation, Trouble};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};

/// States every container passes through.
const PASSING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

pub(super) fn observation(pod: Pod) -> PodObservation {
    let status = pod.status.unwrap_or_default();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|one| one.type_ == "Ready" && one.status == "True");
    let statuses = || {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    };
    PodObservation {
        namespace: pod.metadata.namespace.unwrap_or_default(),
        name: pod.metadata.name.unwrap_or_default(),
        labels: pod.metadata.labels.unwrap_or_default(),
        node: pod.spec.and_then(|spec| spec.node_name),
        ip: status.pod_ip.clone(),
        phase: status.phase.clone().unwrap_or_default(),
        ready,
        deleting: pod.metadata.deletion_timestamp.is_some(),
        restarts: statuses().map(|container| container.restart_count).sum(),
        troubles: if ready {
            Vec::new()
        } else {
            troubles(&status, statuses())
        },
    }
}

fn troubles<'a>(
    status: &PodStatus,
    containers: impl Iterator<Item = &'a ContainerStatus>,
) -> Vec<Trouble> {
    let conditions = status.conditions.iter().flatten();
    let unplaced = conditions
        .filter(|one| one.type_ == "PodScheduled" && one.status == "False")
        .map(|one| Trouble {
            container: None,
            reason: one.reason.clone().unwrap_or_default(),
            message: one.message.clone().unwrap_or_default(),
        });
    let mut all: Vec<_> = unplaced.chain(containers.filter_map(trouble)).collect();
    // Worst first: what passes by itself goes last.
    all.sort_by_key(|trouble| PASSING.contains(&trouble.reason.as_str()));
    all
}

fn trouble(container: &ContainerStatus) -> Option<Trouble> {
    let (reason, message) = why(container)?;
    Some(Trouble {
        container: Some(container.name.clone()),
        reason,
        message,
    })
}

/// The kubelet's own messages carry growing back-off times and UIDs; these do not.
fn why(container: &ContainerStatus) -> Option<(String, String)> {
    let ended =
        |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        return Some(match reason.as_str() {
            "CrashLoopBackOff" => match ended(&container.last_state) {
                Some(last) if last.reason.as_deref() == Some("OOMKilled") => {
                    ("OOMKilled".to_owned(), String::new())
                }
                Some(last) => (reason, last_words(last.exit_code, last.message.as_deref())),
                None => (reason, String::new()),
            },
            // The two alternate while the kubelet retries.
            "ErrImagePull" | "ImagePullBackOff" => (
                "ImagePullBackOff".to_owned(),
                format!("image {}", container.image),
            ),
            passing if PASSING.contains(&passing) => (reason, String::new()),
            _ => (reason, waiting.message.clone().unwrap_or_default()),
        });
    }
    let terminated = state
        .terminated
        .as_ref()
        .filter(|ended| ended.exit_code != 0)?;
    let reason = terminated
        .reason
        .clone()
        .unwrap_or_else(|| "Error".to_owned());
    Some((
        reason,
        last_words(terminated.exit_code, terminated.message.as_deref()),
    ))
}

fn last_words(code: i32, message: Option<&str>) -> String {
    match message
        .map(str::trim)
        .filter(|message| !message.is_empty())
        .and_then(|message| message.lines().last())
    {
        Some(line) => format!("exit code {code}: {line}"),
        None => format!("exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(container: Value, conditions: Value) -> PodObservation {
        let pod = json!({"metadata": {"name": "redis-0", "namespace": "gloo-mesh"},
            "status": {"conditions": conditions, "containerStatuses": [container]}});
        observation(serde_json::from_value(pod).unwrap())
    }

    fn container(state: Value, last: Value) -> Value {
        json!({"name": "redis", "image": "lab/redis:7", "imageID": "", "ready": false, "restartCount": 3, "state": state, "lastState": last})
    }

    #[test]
    fn a_crash_loop_tells_the_exit_code_and_not_the_back_off_time() {
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}});
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "bind: address in use\n"}});
        let seen = pod(container(waiting, last), json!([]));
        assert_eq!(
            seen.troubles[0].message,
            "exit code 1: bind: address in use"
        );
        assert_eq!(seen.restarts, 3);
    }

    #[test]
    fn memory_that_ran_out_is_named_also_during_the_back_off() {
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        assert_eq!(
            pod(container(waiting, last), json!([])).troubles[0].reason,
            "OOMKilled"
        );
    }

    #[test]
    fn both_faces_of_a_failing_pull_read_the_same() {
        let faces = ["ErrImagePull", "ImagePullBackOff"].map(|reason| {
            pod(
                container(
                    json!({"waiting": {"reason": reason, "message": reason}}),
                    json!({}),
                ),
                json!([]),
            )
            .troubles
        });
        assert_eq!(faces[0], faces[1]);
        assert_eq!(faces[0][0].message, "image lab/redis:7");
    }

    #[test]
    fn a_pod_no_node_takes_says_why() {
        let conditions = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]);
        let seen = pod(container(json!({}), json!({})), conditions);
        assert_eq!(
            (
                seen.troubles[0].reason.as_str(),
                seen.troubles[0].message.as_str()
            ),
            ("Unschedulable", "0/3 nodes are available")
        );
    }

    #[test]
    fn a_ready_pod_has_no_troubles() {
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let seen = pod(
            container(waiting, json!({})),
            json!([{"type": "Ready", "status": "True"}]),
        );
        assert!(seen.troubles.is_empty());
    }
}
