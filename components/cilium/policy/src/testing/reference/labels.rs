//! Label selectors, from the documentation of both projects.

use serde_json::Value;

use super::{Labels, list};

/// A requirement as `(key, operator, values)`.
pub(super) fn requirements(selector: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    if let Some(labels) = selector["matchLabels"].as_object() {
        for (key, value) in labels {
            all.push((key.clone(), "In".to_owned(), vec![text(value)]));
        }
    }
    for e in list(&selector["matchExpressions"]) {
        all.push((
            text(&e["key"]),
            text(&e["operator"]),
            list(&e["values"]).iter().map(text).collect(),
        ));
    }
    all
}

/// Whether labels meet a requirement whose key is `exact` or, with any source, `name`.
fn meets(labels: &Labels, key: &str, any_source: bool, operator: &str, values: &[String]) -> bool {
    let mut found = Vec::new();
    for (label, value) in labels {
        let name = label.split_once(':').map_or(label.as_str(), |(_, n)| n);
        if label == key || any_source && name == key {
            found.push(value);
        }
    }
    match operator {
        "In" => found.iter().any(|v| values.contains(v)),
        "NotIn" => !found.iter().any(|v| values.contains(v)),
        "Exists" => !found.is_empty(),
        "DoesNotExist" => found.is_empty(),
        _ => false,
    }
}

/// A selector of Kubernetes: each key stands behind a prefix.
pub(super) fn kubernetes(selector: &Value, prefix: &str, labels: &Labels) -> bool {
    requirements(selector)
        .iter()
        .all(|(key, operator, values)| {
            meets(labels, &format!("{prefix}{key}"), false, operator, values)
        })
}

/// A selector of Cilium, without its scope.
pub(super) fn cilium(selector: &Value, labels: &Labels) -> bool {
    requirements(selector)
        .iter()
        .all(|(key, operator, values)| match key.split_once(':') {
            None => meets(labels, key, true, operator, values),
            Some(("any", name)) => meets(labels, name, true, operator, values),
            Some(_) => meets(labels, key, false, operator, values),
        })
}

/// A selector of objects that are no pods.
pub(super) fn object(selector: &Value, labels: &Labels) -> bool {
    kubernetes(selector, "", labels)
}

/// Whether the selector demands that a label be there whose key is like this.
pub(super) fn demands(selector: &Value, like: impl Fn(&str) -> bool) -> bool {
    requirements(selector)
        .iter()
        .any(|(key, operator, _)| like(key) && (operator == "In" || operator == "Exists"))
}

/// Whether it asks for a label no identity carries.
pub(super) fn unanswerable(selector: &Value) -> bool {
    requirements(selector)
        .iter()
        .any(|(key, _, _)| key == "pod-template-hash")
}

/// Whether a NetworkPolicy asks that a label of the CNI be absent or different, which is refused.
pub(super) fn ambiguous(selector: &Value) -> bool {
    requirements(selector).iter().any(|(key, operator, _)| {
        key.starts_with("io.") && (operator == "NotIn" || operator == "DoesNotExist")
    })
}

pub(super) fn namespace(labels: &Labels) -> Option<&String> {
    labels.get("k8s:io.kubernetes.pod.namespace")
}
