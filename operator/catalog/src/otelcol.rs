//! What collectors and gateway have in common: the user's own parts of a configuration, and the queue on disk.

use gloonet_api::extra::ExtraConfig;
use kube_core::DynamicObject;
use serde_json::{Map, Value, json};

use crate::RenderError;
use crate::object::{Builder, digest};

/// Where the queue is kept. It outlives the container, not the pod.
pub(crate) const QUEUE_FOLDER: &str = "/var/lib/otelcol";
/// Bytes that wait there at most: a gateway or Redis may be away while this much comes in.
pub(crate) const QUEUE_BYTES: u32 = 256 << 20;
/// The file is rewritten when it has become small again, and is there twice meanwhile.
const QUEUE_VOLUME: &str = "1Gi";

/// Keys of the ConfigMap, which are the files of [`FOLDER`].
const OURS: &str = "relay.yaml";
const EXTRA: &str = "extra.yaml";
const FOLDER: &str = "/conf";

/// What the platform's own configuration of one program names.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) receivers: &'static [&'static str],
    pub(crate) processors: &'static [&'static str],
    pub(crate) exporters: &'static [&'static str],
    pub(crate) pipelines: &'static [&'static str],
}

/// The ConfigMap with our file and the user's, and the digest of both.
pub(crate) fn config_map(
    builder: &Builder,
    name: &str,
    configuration: &str,
    extra: &ExtraConfig,
) -> Result<(DynamicObject, String), RenderError> {
    let theirs = extra_file(extra);
    let mut files = vec![(OURS, configuration)];
    files.extend(theirs.iter().map(|file| (EXTRA, file.as_str())));
    let contents: Vec<&str> = files.iter().map(|(_, file)| *file).collect();
    Ok((builder.config_map(name, &files)?, digest(&contents)))
}

/// The second configuration file; nothing when nothing is added. The collector puts both files together name by name;
/// validation has seen to it that no name is in both.
pub(crate) fn extra_file(extra: &ExtraConfig) -> Option<String> {
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
    Some(format!("{:#}", Value::Object(file)))
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
    push(
        &mut container["volumeMounts"],
        json!({"name": "queue", "mountPath": QUEUE_FOLDER}),
    );
    if let Some(secret) = &extra.env_secret {
        container["envFrom"] = json!([{"secretRef": {"name": secret}}]);
        // The end of a log gets into the status, and a collector may quote values.
        container["terminationMessagePolicy"] = json!("File");
    }
    let config = |file: &str| format!("--config={FOLDER}/{file}");
    if extra.is_empty() {
        container["args"] = json!([config(OURS)]);
    } else {
        container["args"] = json!([config(OURS), config(EXTRA)]);
        pod["initContainers"] = json!([judge(container)]);
    }
    push(
        &mut pod["volumes"],
        json!({"name": "queue", "emptyDir": {"sizeLimit": QUEUE_VOLUME}}),
    );
}

/// The container that validates what `container` would run with. What it says gets into the status, or not, as with `container`.
fn judge(container: &Value) -> Value {
    let mut judge = container.clone();
    judge["name"] = json!("validate");
    if let Value::Array(arguments) = &mut judge["args"] {
        arguments.insert(0, json!("validate"));
    }
    if let Some(judge) = judge.as_object_mut() {
        for serving in ["ports", "startupProbe", "livenessProbe", "readinessProbe"] {
            judge.remove(serving);
        }
    }
    judge
}

fn push(list: &mut Value, item: Value) {
    if let Value::Array(list) = list {
        list.push(item);
    }
}

#[cfg(test)]
pub(crate) mod tests;
