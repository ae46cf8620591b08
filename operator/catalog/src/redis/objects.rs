use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{PORT, WORKLOAD};
use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, digest, image, nodes, pod_security, pods, pull_secrets,
    requirements,
};
use crate::trust::RedisUser;
use crate::{ComponentId, ImageName, Input, RenderError, quantity, storage, template};

const NAME: &str = WORKLOAD.name;
const CLAIM: &str = "gloo-mesh-redis-data";
/// The user upstream's image is built for.
const UID: u32 = 999;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Redis, WORKLOAD.namespace);
    let configuration = configuration(input)?;
    let mut objects = vec![
        builder.service_account(NAME, false)?,
        builder.config_map("gloo-mesh-redis-config", &[("redis.conf", &configuration)])?,
    ];
    objects.extend(storage::claim(
        &builder,
        CLAIM,
        &input.spec.redis.managed.persistence,
    )?);
    objects.push(deployment(&builder, input, &digest(&[&configuration]))?);
    objects.push(builder.service(NAME, &[("redis", PORT, "redis")])?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    let max_memory = quantity::bytes(&input.spec.redis.managed.max_memory).unwrap_or_default();
    template::render(
        "redis.conf",
        include_str!("redis.conf.hbs"),
        &json!({"maxMemory": max_memory, "users": RedisUser::ALL.map(RedisUser::name)}),
    )
}

fn deployment(
    builder: &Builder,
    input: &Input,
    digest: &str,
) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        // Two servers on one append-only file would destroy it.
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": builder.pod_labels(NAME), "annotations": {CONFIG_DIGEST: digest}},
            "spec": pod(input),
        },
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let data = storage::volume(&input.spec.redis.managed.persistence, CLAIM);
    let mut container = json!({
        "name": "redis",
        "command": ["redis-server"],
        "args": ["/etc/redis/redis.conf"],
        "workingDir": "/data",
        "ports": [{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": tcp(2, 60),
        "livenessProbe": tcp(20, 3),
        "readinessProbe": tcp(5, 3),
        "resources": requirements(&input.spec.redis.managed.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/etc/redis", "readOnly": true},
            {"name": "users", "mountPath": "/etc/redis/users", "readOnly": true},
        ],
    });
    image(&mut container, &input.images, ImageName::Redis);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [
            data,
            {"name": "config", "configMap": {"name": "gloo-mesh-redis-config", "items": [{"key": "redis.conf", "path": "redis.conf"}]}},
            {"name": "users", "projected": {"sources": RedisUser::ALL.map(line_of)}},
        ],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

/// Of a user's Secret, what is no password.
fn line_of(user: RedisUser) -> Value {
    let key = user.acl_key();
    let path = format!("{}.acl", user.name());
    json!({"secret": {"name": user.secret(), "items": [{"key": key, "path": path}]}})
}

/// The kubelet only sees that the port answers: it has no password. The operator's gate writes and reads.
fn tcp(period: u32, failures: u32) -> Value {
    json!({"tcpSocket": {"port": "redis"}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures, "successThreshold": 1})
}

/// The operator's probe comes from the nodes; the others are the parts that keep something here. No way out.
fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let mut peers = nodes(input);
    peers.extend(
        [
            "gloo-mesh-mgmt-server",
            "gloo-insights",
            "gloo-mesh-ui",
            "gloo-telemetry-gateway",
        ]
        .map(pods),
    );
    builder.network_policy(NAME, json!([allow(&[PORT], peers)]), Some(json!([])))
}
