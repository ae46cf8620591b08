use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{WORKLOAD, admission, rbac};
use crate::object::{
    Builder, allow, container_security, http_probe, image, nodes, pod_security, pods, pull_secrets,
    requirements,
};
use crate::{ComponentId, ImageName, Input, RenderError, prometheus};
use gloo_api::names::{AGENT_HEALTH_PORT, AGENT_STATS_PORT, RELAY_AUTHORITY, RELAY_PORT};

const NAME: &str = WORKLOAD.name;
/// The user Gloo's own images run as.
const UID: u32 = 10101;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::GlooAgent, WORKLOAD.namespace);
    // Before the rights it limits.
    let mut objects = admission::all(&builder, input)?;
    objects.extend(rbac::all(&builder, input.collectors_need_token())?);
    objects.push(deployment(&builder, input)?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

/// The server of this cluster, or the one that manages it.
pub(super) fn relay_address(input: &Input) -> String {
    let elsewhere = input.spec.gloo.agent.management_address.clone();
    elsewhere.unwrap_or_else(|| format!("{RELAY_AUTHORITY}.svc:{RELAY_PORT}"))
}

fn deployment(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        // Two agents of one cluster would push each other out of the relay.
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": builder.pod_labels(NAME)}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = json!({
        "name": NAME,
        "command": ["/usr/bin/gloo-mesh-agent"],
        "args": arguments(input),
        "ports": [
            {"name": "stats", "containerPort": AGENT_STATS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": AGENT_HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/healthz", "health", 2, 60),
        "livenessProbe": http_probe("/healthz", "health", 20, 6),
        "readinessProbe": http_probe("/readyz", "health", 5, 3),
        "resources": requirements(&input.spec.gloo.agent.resources),
        "securityContext": container_security(),
    });
    image(&mut container, &input.images, ImageName::GlooMeshAgent);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(UID),
        "containers": [container],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn arguments(input: &Input) -> Vec<String> {
    let mut arguments = vec![
        format!("--cluster-name={}", input.cluster_name()),
        format!("--relay-address={}", relay_address(input)),
        format!("--relay-authority={RELAY_AUTHORITY}"),
        format!("--metrics-address=0.0.0.0:{AGENT_STATS_PORT}"),
        format!("--health-address=0.0.0.0:{AGENT_HEALTH_PORT}"),
    ];
    if input.collectors_need_token() {
        arguments.push("--telemetry".to_owned());
    }
    arguments
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let rules = json!([
        allow(&[AGENT_STATS_PORT], vec![pods(prometheus::WORKLOAD.name)]),
        allow(&[AGENT_HEALTH_PORT], nodes(input)),
    ]);
    builder.network_policy(NAME, rules, None)
}
