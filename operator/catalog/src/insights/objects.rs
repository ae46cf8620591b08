use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::WORKLOAD;
use crate::object::{
    Builder, allow, container_security, http_probe, image, nodes, pod_security, pods, pull_secrets,
    requirements,
};
use crate::trust::RedisUser;
use crate::{
    ComponentId, ImageName, Input, RenderError, gloo_agent, management_server, prometheus,
};
use gloo_api::names::{
    INSIGHTS, INSIGHTS_API_PORT, INSIGHTS_HEALTH_PORT, INSIGHTS_STATS_PORT, STORE_KEY,
};

const GROUP: &str = "rbac.authorization.k8s.io/v1";
const NAME: &str = WORKLOAD.name;
/// The user Gloo's own images run as.
const UID: u32 = 10101;
const SECRETS: &str = "/etc/gloo-mesh";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Insights, WORKLOAD.namespace);
    let rules = json!([
        allow(
            &[INSIGHTS_STATS_PORT],
            vec![pods(prometheus::WORKLOAD.name)]
        ),
        allow(&[INSIGHTS_HEALTH_PORT], nodes(input)),
    ]);
    Ok(vec![
        builder.service_account(INSIGHTS, true)?,
        builder.namespaced((GROUP, "Role"), INSIGHTS, json!({"rules": rights()}))?,
        builder.namespaced(
            (GROUP, "RoleBinding"),
            INSIGHTS,
            gloo_agent::rbac::binding("Role", INSIGHTS),
        )?,
        deployment(&builder, input)?,
        builder.network_policy(NAME, rules, None)?,
    ])
}

/// In gloo-mesh: which clusters there are, and what the administrator wants to see.
fn rights() -> Value {
    let group = "admin.gloo.solo.io";
    json!([
        {"apiGroups": [group], "resources": ["insightsconfigs", "kubernetesclusters"], "verbs": ["list", "watch"]},
        {"apiGroups": [group], "resources": ["insightsconfigs/status"], "verbs": ["patch"]},
    ])
}

fn deployment(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        // Two of them would write the same book.
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": builder.pod_labels(NAME)}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let store = management_server::objects::store(input, RedisUser::Insights);
    let mut mounts = vec![
        json!({"name": "store-key", "mountPath": format!("{SECRETS}/store-key"), "readOnly": true}),
    ];
    let mut volumes = vec![json!({"name": "store-key", "secret": {"secretName": STORE_KEY}})];
    let mut arguments = vec![
        format!("--cluster-name={}", input.cluster_name()),
        format!("--metrics-address=0.0.0.0:{INSIGHTS_STATS_PORT}"),
        format!("--health-address=0.0.0.0:{INSIGHTS_HEALTH_PORT}"),
        format!("--api-address=127.0.0.1:{INSIGHTS_API_PORT}"),
        format!("--store-key={SECRETS}/store-key/key"),
        format!("--redis-url={}", store.url),
    ];
    let files = [
        ("redis-credentials", store.credentials, ""),
        ("redis-ca", store.authority, "/ca.crt"),
    ];
    for (name, secret, file) in files {
        if let Some(secret) = secret {
            let folder = format!("{SECRETS}/{name}");
            arguments.push(format!("--{name}={folder}{file}"));
            mounts.push(json!({"name": name, "mountPath": folder, "readOnly": true}));
            volumes.push(json!({"name": name, "secret": {"secretName": secret}}));
        }
    }
    if let Some(url) = prometheus::url(input) {
        arguments.push(format!("--prometheus-url={url}"));
    }
    let mut container = container(input, &arguments, &mounts);
    image(&mut container, &input.images, ImageName::GlooMeshInsights);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "enableServiceLinks": false,
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": volumes,
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input, arguments: &[String], mounts: &[Value]) -> Value {
    json!({
        "name": NAME,
        "command": ["/usr/bin/gloo-mesh-insights"],
        "args": arguments,
        "ports": [
            {"name": "stats", "containerPort": INSIGHTS_STATS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": INSIGHTS_HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/healthz", "health", 2, 60),
        "livenessProbe": http_probe("/healthz", "health", 20, 6),
        "readinessProbe": http_probe("/healthz", "health", 5, 3),
        "resources": requirements(&input.spec.gloo.insights.resources),
        "securityContext": container_security(),
        "volumeMounts": mounts,
    })
}
