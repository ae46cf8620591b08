//! What collectors and gateway have in common: the user's own parts of a configuration, and the queue on disk.

use gloonet_api::extra::ExtraConfig;
use serde_json::{Map, Value, json};

/// Where the queue is kept. It outlives the container, not the pod.
pub(crate) const QUEUE_FOLDER: &str = "/var/lib/otelcol";
/// Bytes that wait there at most: a gateway or Redis may be away while this much comes in.
pub(crate) const QUEUE_BYTES: u32 = 256 << 20;
/// The file is rewritten when it has become small again, and is there twice meanwhile.
const QUEUE_VOLUME: &str = "1Gi";

const OURS: &str = "/conf/relay.yaml";
const EXTRA_KEY: &str = "extra.yaml";
const EXTRA: &str = "/conf/extra.yaml";

/// What the platform's own configuration of one program names.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) receivers: &'static [&'static str],
    pub(crate) processors: &'static [&'static str],
    pub(crate) exporters: &'static [&'static str],
    pub(crate) pipelines: &'static [&'static str],
}

/// The second configuration file and its key in the ConfigMap; nothing when nothing is added. The collector puts both files
/// together name by name; validation has seen to it that no name is in both.
pub(crate) fn extra_file(extra: &ExtraConfig) -> Option<(&'static str, String)> {
    if extra.is_empty() {
        return None;
    }
    let mut file = Map::new();
    for (section, parts) in [
        ("receivers", &extra.receivers),
        ("processors", &extra.processors),
        ("exporters", &extra.exporters),
    ] {
        if !parts.is_empty() {
            file.insert(section.to_owned(), json!(parts));
        }
    }
    if !extra.pipelines.is_empty() {
        file.insert("service".to_owned(), json!({"pipelines": extra.pipelines}));
    }
    // JSON is YAML; the alternate form is for people.
    Some((EXTRA_KEY, format!("{:#}", Value::Object(file))))
}

/// Further exporters of our pipelines, for the templates.
pub(crate) fn also(extra: &ExtraConfig) -> Value {
    let also = &extra.also_export;
    json!({"metrics": also.metrics, "logs": also.logs})
}

/// Puts the queue's volume, the arguments and what the user's own parts need into a pod whose first container is a collector.
///
/// With parts of the user's, the collector judges all files before it starts, so that a rollout stops at the first pod and says why.
pub(crate) fn complete(pod: &mut Value, extra: &ExtraConfig) {
    let container = &mut pod["containers"][0];
    let mut files = vec![format!("--config={OURS}")];
    if !extra.is_empty() {
        files.push(format!("--config={EXTRA}"));
    }
    container["args"] = json!(files);
    push(
        &mut container["volumeMounts"],
        json!({"name": "queue", "mountPath": QUEUE_FOLDER}),
    );
    if let Some(secret) = &extra.env_secret {
        container["envFrom"] = json!([{"secretRef": {"name": secret}}]);
    }
    if !extra.is_empty() {
        let mut judge = container.clone();
        judge["name"] = json!("validate");
        judge["args"] = Value::Array(
            [json!("validate")]
                .into_iter()
                .chain(files.into_iter().map(Value::from))
                .collect(),
        );
        // What it says gets into the status. It may quote values, so not when some of them come from a Secret.
        if extra.env_secret.is_none() {
            judge["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
        }
        if let Some(judge) = judge.as_object_mut() {
            for serving in ["ports", "startupProbe", "livenessProbe", "readinessProbe"] {
                judge.remove(serving);
            }
        }
        pod["initContainers"] = json!([judge]);
    }
    push(
        &mut pod["volumes"],
        json!({"name": "queue", "emptyDir": {"sizeLimit": QUEUE_VOLUME}}),
    );
}

fn push(list: &mut Value, item: Value) {
    if let Value::Array(list) = list {
        list.push(item);
    }
}

#[cfg(test)]
pub(crate) mod tests;
