//! Deployment `gloonet-operator`: works on a cluster whose nodes are not ready because there is no CNI yet.

use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{API_SERVER_CONFIG_MAP, HEALTH_PORT, METRICS_PORT, NAME, REPLICAS};
use crate::object::{Builder, container_security, from_field, image, loopback_probe, pull_secrets};
use crate::{ImageName, ImageResolver, ReleaseLock, RenderError};

const UID: u32 = 65532;

pub(super) fn deployment(
    builder: &Builder,
    lock: &ReleaseLock,
    images: &ImageResolver,
) -> Result<DynamicObject, RenderError> {
    let mut labels = builder.pod_labels(NAME);
    labels["app.kubernetes.io/version"] = json!(lock.version);
    let spec = json!({
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": NAME}},
        // Host ports: a pod more than there are nodes could not be placed.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": pod(images)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(images: &ImageResolver) -> Value {
    let mut container = json!({
        "name": NAME,
        "command": ["/usr/bin/gloonet-operator"],
        "args": [format!("--metrics-address=0.0.0.0:{METRICS_PORT}"), format!("--health-address=127.0.0.1:{HEALTH_PORT}")],
        "env": environment(),
        "ports": [
            {"name": "metrics", "containerPort": METRICS_PORT, "hostPort": METRICS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "hostPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": loopback_probe("/healthz", "health", 20, 6),
        "readinessProbe": loopback_probe("/readyz", "health", 5, 3),
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "192Mi"}},
        "securityContext": container_security(),
    });
    image(&mut container, images, ImageName::GloonetOperator);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "hostNetwork": true,
        "dnsPolicy": "Default",
        "enableServiceLinks": false,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 30,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            {"operator": "Exists", "effect": "NoSchedule"},
        ],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": NAME}}},
        ]}},
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": UID, "runAsGroup": UID, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    });
    pull_secrets(&mut pod, images);
    pod
}

fn environment() -> Value {
    let address = |name: &str, key: &str| {
        let reference = json!({"name": API_SERVER_CONFIG_MAP, "key": key, "optional": true});
        json!({"name": name, "valueFrom": {"configMapKeyRef": reference}})
    };
    json!([
        from_field("POD_NAME", "metadata.name"),
        from_field("POD_NAMESPACE", "metadata.namespace"),
        from_field("POD_IP", "status.podIP"),
        from_field("NODE_NAME", "spec.nodeName"),
        address("KUBERNETES_SERVICE_HOST", "host"),
        address("KUBERNETES_SERVICE_PORT", "port"),
    ])
}
