use gloonet_api::gloo::ServiceType;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{WORKLOAD, rbac};
use crate::object::{
    Builder, allow, container_security, from_field, from_memory_limit, http_probe, image, nodes,
    pod_security, pods, pull_secrets, requirements, spread,
};
use crate::redis::Place;
use crate::trust::{self, RedisUser};
use crate::{ComponentId, ImageName, Input, RenderError, prometheus};
use gloo_api::names::{
    RELAY_PORT, SERVER_HEALTH_PORT, SERVER_STATS_PORT, SERVER_TLS, SIGNING, STORE_KEY,
    TELEMETRY_KEY,
};

const NAME: &str = WORKLOAD.name;
/// The user Gloo's own images run as.
pub(crate) const UID: u32 = 10101;
const SECRETS: &str = "/etc/gloo-mesh";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::ManagementServer, WORKLOAD.namespace);
    let replicas = input.spec.gloo.management_server.replicas;
    let mut objects = rbac::all(&builder)?;
    objects.push(own_cluster(&builder, input)?);
    objects.push(deployment(&builder, input, replicas)?);
    objects.push(service(&builder, input)?);
    objects.extend(builder.disruption_budget(NAME, WORKLOAD.pod_label, replicas)?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

/// This cluster, under its own management. Others come by `gloonet cluster register`.
fn own_cluster(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    builder.namespaced(
        ("admin.gloo.solo.io/v2", "KubernetesCluster"),
        input.cluster_name(),
        json!({"spec": {"clusterDomain": "cluster.local"}}),
    )
}

fn deployment(
    builder: &Builder,
    input: &Input,
    replicas: u16,
) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": NAME}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": builder.pod_labels(NAME)}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let store = store(input, RedisUser::ManagementServer);
    let mut mounts = vec![
        json!({"name": "tls", "mountPath": format!("{SECRETS}/tls"), "readOnly": true}),
        json!({"name": "signing", "mountPath": format!("{SECRETS}/signing"), "readOnly": true}),
        json!({"name": "store-key", "mountPath": format!("{SECRETS}/store-key"), "readOnly": true}),
    ];
    let mut volumes = vec![
        json!({"name": "tls", "secret": {"secretName": SERVER_TLS}}),
        json!({"name": "signing", "secret": {"secretName": SIGNING}}),
        json!({"name": "store-key", "secret": {"secretName": STORE_KEY}}),
    ];
    if input.telemetry_tokens() {
        for (name, secret, key) in [
            ("telemetry-key", TELEMETRY_KEY, "key.pem"),
            ("telemetry-authority", trust::GATEWAY_TLS, "ca.crt"),
        ] {
            let items = json!([{"key": key, "path": key}]);
            mounts.push(
                json!({"name": name, "mountPath": format!("{SECRETS}/{name}"), "readOnly": true}),
            );
            volumes.push(json!({"name": name, "secret": {"secretName": secret, "items": items}}));
        }
    }
    let secrets = [
        ("redis-credentials", &store.credentials),
        ("redis-ca", &store.authority),
    ];
    for (name, secret) in secrets {
        if let Some(secret) = secret {
            mounts.push(
                json!({"name": name, "mountPath": format!("{SECRETS}/{name}"), "readOnly": true}),
            );
            volumes.push(json!({"name": name, "secret": {"secretName": secret}}));
        }
    }
    let mut container = container(input, arguments(input, &store), mounts);
    image(&mut container, &input.images, ImageName::GlooMeshMgmtServer);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(UID),
        "topologySpreadConstraints": spread(NAME),
        "containers": [container],
        "volumes": volumes,
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input, arguments: Vec<String>, mounts: Vec<Value>) -> Value {
    json!({
        "name": NAME,
        "command": ["/usr/bin/gloo-mesh-mgmt-server"],
        "args": arguments,
        "env": [
            from_field("POD_NAME", "metadata.name"),
            from_field("POD_UID", "metadata.uid"),
            from_memory_limit("MEMORY_LIMIT"),
        ],
        "ports": [
            {"name": "relay", "containerPort": RELAY_PORT, "protocol": "TCP"},
            {"name": "stats", "containerPort": SERVER_STATS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": SERVER_HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/healthz", "health", 2, 60),
        "livenessProbe": http_probe("/healthz", "health", 20, 6),
        "readinessProbe": http_probe("/readyz", "health", 5, 3),
        "resources": requirements(&input.spec.gloo.management_server.resources),
        "securityContext": container_security(),
        "volumeMounts": mounts,
    })
}

fn arguments(input: &Input, store: &Store) -> Vec<String> {
    let server = &input.spec.gloo.management_server;
    let mut arguments = vec![
        format!("--cluster-name={}", input.cluster_name()),
        format!("--relay-address=0.0.0.0:{RELAY_PORT}"),
        format!("--stats-address=0.0.0.0:{SERVER_STATS_PORT}"),
        format!("--health-address=0.0.0.0:{SERVER_HEALTH_PORT}"),
        format!("--tls={SECRETS}/tls"),
        format!("--signing={SECRETS}/signing"),
        format!("--store-key={SECRETS}/store-key/key"),
        format!("--redis-url={}", store.url),
    ];
    if input.telemetry_tokens() {
        arguments.push(format!("--telemetry-key={SECRETS}/telemetry-key/key.pem"));
        let authority = format!("{SECRETS}/telemetry-authority/ca.crt");
        arguments.push(format!("--telemetry-authority={authority}"));
    }
    if store.credentials.is_some() {
        arguments.push(format!("--redis-credentials={SECRETS}/redis-credentials"));
    }
    if store.authority.is_some() {
        arguments.push(format!("--redis-ca={SECRETS}/redis-ca/ca.crt"));
    }
    if let Some(url) = prometheus::url(input) {
        arguments.push(format!("--prometheus-url={url}"));
    }
    if !server.safe_mode.is_enabled() {
        arguments.push("--safe-mode=false".to_owned());
    }
    arguments
}

/// Where the server keeps what it knows, and the Secrets that lead there.
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) credentials: Option<String>,
    pub(crate) authority: Option<String>,
}

/// For one of those that keep something there.
pub(crate) fn store(input: &Input, user: RedisUser) -> Store {
    // Validation refuses a server without any.
    let place = Place::of(input).unwrap_or(Place::Ours);
    let scheme = if place.tls() { "rediss" } else { "redis" };
    Store {
        url: format!("{scheme}://{}", place.address()),
        credentials: place.credentials(user).map(str::to_owned),
        authority: place.authority().map(str::to_owned),
    }
}

fn service(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let kind = input.spec.gloo.management_server.service.type_;
    let mut ports = vec![("relay", RELAY_PORT, "relay")];
    // Metrics and snapshots are no business of the outside.
    ports.extend((kind == ServiceType::ClusterIP).then_some(("stats", SERVER_STATS_PORT, "stats")));
    let mut service = builder.service(NAME, &ports)?;
    service.data["spec"]["type"] = json!(kind.as_str());
    Ok(service)
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    // 9900 is open to other clusters: who may speak is decided by certificate or token.
    let rules = json!([
        {"ports": [{"protocol": "TCP", "port": RELAY_PORT}]},
        allow(&[SERVER_STATS_PORT], vec![pods(prometheus::WORKLOAD.name)]),
        allow(&[SERVER_HEALTH_PORT], nodes(input)),
    ]);
    builder.network_policy(NAME, rules, None)
}
