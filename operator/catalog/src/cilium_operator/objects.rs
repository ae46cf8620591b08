use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{WORKLOAD, rbac};
use crate::labels::PART_OF;
use crate::object::{Builder, from_field, image, loopback_probe, pull_secrets, requirements};
use crate::{ComponentId, ImageName, Input, RenderError};

const HEALTH_PORT: u16 = cilium_api::names::OPERATOR_HEALTH_PORT;
const METRICS_PORT: u16 = cilium_api::names::OPERATOR_METRICS_PORT;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::CiliumOperator, WORKLOAD.namespace);
    let replicas = input.spec.cilium.operator.replicas;
    let mut objects = rbac::all(&builder)?;
    objects.push(deployment(&builder, input, replicas)?);
    objects.extend(builder.disruption_budget(WORKLOAD.name, WORKLOAD.pod_label, replicas)?);
    Ok(objects)
}

fn deployment(
    builder: &Builder,
    input: &Input,
    replicas: u16,
) -> Result<DynamicObject, RenderError> {
    let mut labels = builder.pod_labels(WORKLOAD.name);
    labels["io.cilium/app"] = json!("operator");
    labels["name"] = json!(WORKLOAD.name);
    labels[PART_OF.0] = json!(PART_OF.1);
    let spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"io.cilium/app": "operator", "name": WORKLOAD.name}},
        // Host ports: a pod more than there are nodes could not be placed.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": pod(input)},
    });
    let metadata = json!({
        "name": WORKLOAD.name, "namespace": WORKLOAD.namespace,
        "labels": {"io.cilium/app": "operator", "name": WORKLOAD.name},
    });
    builder.object(("apps/v1", "Deployment"), metadata, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = container(input);
    image(&mut container, &input.images, ImageName::CiliumOperator);
    let mut pod = json!({
        "serviceAccountName": WORKLOAD.name,
        "hostNetwork": true,
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"io.cilium/app": "operator"}}},
        ]}},
        "containers": [container],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input) -> Value {
    let pool: Vec<String> = input.pool.iter().map(ToString::to_string).collect();
    json!({
        "name": WORKLOAD.name,
        "command": ["/usr/bin/cilium-operator"],
        "args": [
            format!("--cluster-name={}", input.cluster_name()),
            format!("--cluster-pool-ipv4-cidr={}", pool.join(",")),
            format!("--cluster-pool-ipv4-mask-size={}", input.spec.cilium.ipam.mask_size),
            format!("--cilium-namespace={}", WORKLOAD.namespace),
            format!("--metrics-bind-address=0.0.0.0:{METRICS_PORT}"),
            format!("--health-bind-address=127.0.0.1:{HEALTH_PORT}"),
        ],
        "env": [
            from_field("K8S_NODE_NAME", "spec.nodeName"),
            from_field("CILIUM_K8S_NAMESPACE", "metadata.namespace"),
            from_field("POD_NAME", "metadata.name"),
            {"name": "KUBERNETES_SERVICE_HOST", "value": input.api_server.host},
            {"name": "KUBERNETES_SERVICE_PORT", "value": input.api_server.port.to_string()},
        ],
        "ports": [
            {"name": "health", "containerPort": HEALTH_PORT, "hostPort": HEALTH_PORT, "protocol": "TCP"},
            {"name": "prometheus", "containerPort": METRICS_PORT, "hostPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": loopback_probe("/healthz", "health", 10, 6),
        "readinessProbe": loopback_probe("/healthz", "health", 5, 5),
        "resources": requirements(&input.spec.cilium.operator.resources),
        "securityContext": crate::object::container_security(),
    })
}
