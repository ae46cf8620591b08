//! The counts of a Deployment or DaemonSet.

use gloonet_catalog::{Workload, WorkloadKind};
use kube::api::DynamicObject;
use serde_json::Value;

/// `None` for other kinds.
pub(super) fn counts(kind: &str, object: &DynamicObject) -> Option<Workload> {
    let status = |field: &str| number(&object.data["status"][field]);
    let spec = &object.data["spec"];
    let (kind, desired, pods, updated, ready, available, budget) = match kind {
        "Deployment" => (
            WorkloadKind::Deployment,
            if spec["replicas"].is_null() {
                1
            } else {
                number(&spec["replicas"])
            },
            status("replicas"),
            status("updatedReplicas"),
            status("readyReplicas"),
            status("availableReplicas"),
            &spec["strategy"]["rollingUpdate"]["maxUnavailable"],
        ),
        "DaemonSet" => (
            WorkloadKind::DaemonSet,
            status("desiredNumberScheduled"),
            status("currentNumberScheduled"),
            status("updatedNumberScheduled"),
            status("numberReady"),
            status("numberAvailable"),
            &spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
        ),
        _ => return None,
    };
    Some(Workload {
        kind,
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        observed_generation: object.data["status"]["observedGeneration"]
            .as_i64()
            .unwrap_or_default(),
        desired,
        pods,
        updated,
        ready,
        available,
        max_unavailable: share(budget, desired),
    })
}

fn number(value: &Value) -> i32 {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .unwrap_or_default()
}

/// A count, or a percentage of `whole`, rounded down as Kubernetes does for maxUnavailable.
fn share(value: &Value, whole: i32) -> i32 {
    match value
        .as_str()
        .and_then(|text| text.strip_suffix('%'))
        .and_then(|text| text.parse::<i32>().ok())
    {
        Some(percent) => whole * percent / 100,
        None => number(value),
    }
}
