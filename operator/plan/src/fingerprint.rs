//! Short hashes that tell whether an object says the same as before.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The first 64 bits of a SHA-256 over a canonical form, in hexadecimal. Tells objects apart; proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);

/// Metadata the API server or a controller writes by itself.
const VOLATILE: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// Read apart, not content, or (apiVersion and kind) left out by the API server in lists.
const ELSEWHERE: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
/// Annotations that the controllers of Deployments and DaemonSets count in.
const COUNTERS: [&str; 2] = [
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
];

impl Fingerprint {
    /// Of everything in the value. The order of object keys does not matter.
    pub fn of(value: &Value) -> Self {
        let mut hash = Sha256::new();
        feed(value, &mut hash);
        Self::finish(hash)
    }

    /// Of what a person or another controller could have changed: everything but `status` and the metadata that the API
    /// server keeps itself. Status updates and resync leave it alone.
    pub fn of_content(object: &Value) -> Self {
        let mut hash = Sha256::new();
        let Value::Object(fields) = object else {
            return Self::of(object);
        };
        for (name, value) in sorted(fields).filter(|(name, _)| !ELSEWHERE.contains(name)) {
            text(b"k", name, &mut hash);
            feed(value, &mut hash);
        }
        let metadata = fields.get("metadata").and_then(Value::as_object);
        let kept = metadata.into_iter().flat_map(sorted);
        for (name, value) in kept.filter(|(name, _)| !VOLATILE.contains(name)) {
            if let ("annotations", Value::Object(annotations)) = (name, value) {
                notes(annotations, &mut hash);
            } else {
                text(b"m", name, &mut hash);
                feed(value, &mut hash);
            }
        }
        Self::finish(hash)
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn finish(hash: Sha256) -> Self {
        let head = hash
            .finalize()
            .iter()
            .take(8)
            .fold(0_u64, |head, byte| (head << 8) | u64::from(*byte));
        Self(format!("{head:016x}"))
    }
}

/// Fields by name, whatever order the map keeps them in.
fn sorted(fields: &serde_json::Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let mut sorted: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted.into_iter()
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Annotations without counters; none at all reads like an empty map.
fn notes(annotations: &serde_json::Map<String, Value>, hash: &mut Sha256) {
    for (name, value) in sorted(annotations).filter(|(name, _)| !COUNTERS.contains(name)) {
        text(b"a", name, hash);
        feed(value, hash);
    }
}

/// Type tags and lengths keep `["ab"]` and `["a","b"]` apart.
fn feed(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => text(b"d", &number.to_string(), hash),
        Value::String(string) => text(b"s", string, hash),
        Value::Array(items) => {
            hash.update(b"[");
            hash.update(items.len().to_le_bytes());
            for item in items {
                feed(item, hash);
            }
        }
        Value::Object(fields) => {
            hash.update(b"{");
            hash.update(fields.len().to_le_bytes());
            for (name, child) in sorted(fields) {
                text(b"k", name, hash);
                feed(child, hash);
            }
        }
    }
}

fn text(tag: &[u8], string: &str, hash: &mut Sha256) {
    hash.update(tag);
    hash.update(string.len().to_le_bytes());
    hash.update(string.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_and_server_kept_metadata_do_not_count_as_content() {
        let before = json!({"metadata": {"name": "a", "resourceVersion": "1", "generation": 1}, "spec": {"x": 1}});
        let after = json!({"metadata": {"name": "a", "resourceVersion": "9", "generation": 2, "managedFields": []}, "spec": {"x": 1}, "status": {"ready": 1}});
        assert_eq!(
            Fingerprint::of_content(&before),
            Fingerprint::of_content(&after)
        );
    }

    #[test]
    fn an_object_reads_the_same_from_a_list_which_leaves_its_kind_out() {
        let listed = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        let watched = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(
            Fingerprint::of_content(&listed),
            Fingerprint::of_content(&watched)
        );
    }

    #[test]
    fn a_changed_label_or_value_counts_as_content() {
        let plain = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        let labelled = json!({"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"k": "v"}});
        let edited = json!({"metadata": {"name": "a"}, "data": {"k": "w"}});
        assert_ne!(
            Fingerprint::of_content(&plain),
            Fingerprint::of_content(&labelled)
        );
        assert_ne!(
            Fingerprint::of_content(&plain),
            Fingerprint::of_content(&edited)
        );
    }

    #[test]
    fn the_revision_a_controller_counts_in_an_annotation_is_no_content() {
        let plain = json!({"metadata": {"name": "a"}});
        let counted = json!({"metadata": {"name": "a", "annotations": {"deployment.kubernetes.io/revision": "7"}}});
        let noted = json!({"metadata": {"name": "a", "annotations": {"mine": "7"}}});
        assert_eq!(
            Fingerprint::of_content(&plain),
            Fingerprint::of_content(&counted)
        );
        assert_ne!(
            Fingerprint::of_content(&plain),
            Fingerprint::of_content(&noted)
        );
    }

    #[test]
    fn list_borders_count() {
        assert_ne!(
            Fingerprint::of(&json!(["ab"])),
            Fingerprint::of(&json!(["a", "b"]))
        );
    }
}
