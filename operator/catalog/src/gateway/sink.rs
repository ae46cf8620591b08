use serde_json::{Value, json};

use super::{SINK_METRICS, SINK_OTLP};
use crate::object::{container_security, http_probe, image, requirements};
use crate::redis::Place;
use crate::trust::RedisUser;
use crate::{ImageName, Input, quantity};

const CREDENTIALS: &str = "/etc/redis-credentials";
const AUTHORITY: &str = "/etc/redis-ca";
/// The sink takes no smaller number.
const LEAST: u64 = 1 << 20;

/// Puts the sidecar and what it mounts into the gateway's pod.
pub(super) fn add(input: &Input, pod: &mut Value) {
    let Some(place) = Place::of(input).filter(|_| input.logs()) else {
        return;
    };
    let mut volumes = Vec::new();
    let mut mounts = Vec::new();
    let mut arguments = vec![
        format!("--otlp-address=127.0.0.1:{SINK_OTLP}"),
        format!("--metrics-address=0.0.0.0:{SINK_METRICS}"),
        format!("--redis-address={}", place.address()),
    ];
    arguments.extend(share(input, place).map(|bytes| format!("--bytes-per-cluster={bytes}")));
    let mut secret = |name: &str, folder: &str, secret: &str, keys: &[&str]| {
        let items: Vec<Value> = keys
            .iter()
            .map(|key| json!({"key": key, "path": key}))
            .collect();
        volumes.push(json!({"name": name, "secret": {"secretName": secret, "items": items}}));
        mounts.push(json!({"name": name, "mountPath": folder, "readOnly": true}));
    };
    if let Some(name) = place.credentials(RedisUser::Sink) {
        // Of theirs, `username` need not be there, and a list of keys would demand it.
        let keys: &[&str] = match place {
            Place::Ours => &["username", "password"],
            Place::Theirs(_) => &[],
        };
        secret("redis-credentials", CREDENTIALS, name, keys);
        arguments.push(format!("--redis-credentials={CREDENTIALS}"));
    }
    if place.tls() {
        arguments.push("--redis-tls".to_owned());
    }
    if let Some(name) = place.authority() {
        secret("redis-ca", AUTHORITY, name, &["ca.crt"]);
        arguments.push(format!("--redis-ca={AUTHORITY}/ca.crt"));
    }
    extend(&mut pod["volumes"], volumes);
    extend(
        &mut pod["containers"],
        vec![container(input, &arguments, &mounts)],
    );
}

/// What one cluster may have of our Redis through one of the gateway's pods, in bytes: half of it through all of them, so that what
/// others have is not evicted for it. How large theirs is nobody says.
fn share(input: &Input, place: Place) -> Option<u64> {
    let Place::Ours = place else { return None };
    let memory = quantity::bytes(&input.spec.redis.managed.max_memory)?;
    let pods = u64::from(input.spec.telemetry.gateway.replicas).max(1);
    Some((memory / 2 / pods).max(LEAST))
}

fn container(input: &Input, arguments: &[String], mounts: &[Value]) -> Value {
    let mut container = json!({
        "name": "redis-sink",
        "args": arguments,
        "ports": [{"name": "sink-metrics", "containerPort": SINK_METRICS, "protocol": "TCP"}],
        "startupProbe": http_probe("/healthz", "sink-metrics", 2, 60),
        "livenessProbe": http_probe("/healthz", "sink-metrics", 20, 6),
        "resources": requirements(&input.spec.telemetry.logs.resources),
        "securityContext": container_security(),
        "volumeMounts": mounts,
    });
    image(&mut container, &input.images, ImageName::RedisSink);
    container
}

fn extend(list: &mut Value, more: Vec<Value>) {
    if let Value::Array(list) = list {
        list.extend(more);
    }
}
