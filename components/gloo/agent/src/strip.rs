//! What is left of an object before it leaves the cluster.

use bytes::Bytes;
use gloo_relay::key::{KeyError, ObjectKey};
use serde_json::{Map, Value};

use crate::kinds::Watched;

/// Kept of every object.
const NAMES: [&str; 6] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.uid",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
];

/// The object's key and its canonical JSON: the fields of the table, keys sorted, nothing else.
pub fn strip(watched: &Watched, object: &Value) -> Result<(ObjectKey, Bytes), KeyError> {
    let text = |path: &str| object["metadata"][path].as_str().unwrap_or_default();
    let api_version = watched.api_version();
    let key = ObjectKey::new(&api_version, watched.kind, text("namespace"), text("name"))?;
    let mut kept = Value::Object(Map::new());
    kept["apiVersion"] = api_version.into();
    kept["kind"] = watched.kind.into();
    for path in NAMES.iter().chain(watched.fields) {
        let path: Vec<_> = path.split('.').collect();
        pick(object, &path, &mut kept);
    }
    Ok((key, Bytes::from(kept.to_string())))
}

/// Copies what lies at `path`.
fn pick(from: &Value, path: &[&str], into: &mut Value) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let (name, each) = match step.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (*step, false),
    };
    let Some(found) = from.get(name) else { return };
    if rest.is_empty() {
        into[name] = found.clone();
        return;
    }
    if !each {
        if found.is_object() {
            pick(found, rest, object(&mut into[name]));
        }
        return;
    }
    let Some(elements) = found.as_array() else {
        return;
    };
    if !into[name].is_array() {
        into[name] = vec![Value::Object(Map::new()); elements.len()].into();
    }
    for (element, kept) in elements
        .iter()
        .zip(into[name].as_array_mut().into_iter().flatten())
    {
        pick(element, rest, kept);
    }
}

fn object(value: &mut Value) -> &mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds;

    const CANARY: &str = "canary-5f3a";

    fn kind(name: &str) -> Watched {
        kinds::all().find(|watched| watched.kind == name).unwrap()
    }

    fn stripped(name: &str, object: &Value) -> Value {
        let (_, bytes) = strip(&kind(name), object).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// A pod with a secret in every place somebody ever put one.
    fn pod() -> Value {
        json!({
            "metadata": {
                "name": "web", "namespace": "shop", "labels": {"app": "web"},
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": CANARY,
                    "token": CANARY,
                },
                "managedFields": [{"manager": CANARY}],
                "ownerReferences": [{"name": CANARY}],
            },
            "spec": {
                "serviceAccountName": "web", "nodeName": "worker-1",
                "containers": [{
                    "name": "web", "image": CANARY, "args": [CANARY], "command": [CANARY],
                    "env": [{"name": "PASSWORD", "value": CANARY}],
                }],
                "initContainers": [{"env": [{"name": "A", "value": CANARY}]}],
                "volumes": [{"secret": {"secretName": CANARY}}],
            },
            "status": {"phase": "Running", "podIP": "10.0.0.1", "message": CANARY},
        })
    }

    #[test]
    fn a_pod_leaves_with_what_policies_need_and_no_more() {
        let left = stripped("Pod", &pod());
        assert_eq!(
            left,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
                "spec": {"serviceAccountName": "web", "nodeName": "worker-1"},
                "status": {"phase": "Running", "podIP": "10.0.0.1"},
            })
        );
    }

    #[test]
    fn no_canary_leaves_in_any_kind() {
        let template = pod();
        let mut workload = pod();
        workload["spec"]["template"] = template;
        workload["spec"]["template"]["spec"]["containers"][0]["image"] = "web:1".into();
        for watched in kinds::all() {
            let (_, bytes) = strip(&watched, &workload).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            // What a person writes into a Gloo resource's or a policy's spec is for the server.
            let whole = watched.fields.contains(&"spec");
            assert!(whole || !text.contains(CANARY), "{}: {text}", watched.kind);
        }
    }

    #[test]
    fn no_secret_is_watched_and_of_config_maps_only_ciliums() {
        assert!(kinds::all().all(|watched| watched.kind != "Secret"));
        let maps: Vec<_> = kinds::all()
            .filter(|watched| watched.kind == "ConfigMap")
            .collect();
        assert_eq!(maps.len(), 1);
        assert_eq!(maps[0].only, Some(("kube-system", "cilium-config")));
    }

    #[test]
    fn containers_keep_their_images_in_order() {
        let object = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [
                {"name": "a", "image": "a:1", "env": []},
                {"name": "b", "image": "b:1"},
            ]}}},
        });
        let containers = &stripped("Deployment", &object)["spec"]["template"]["spec"]["containers"];
        assert_eq!(
            *containers,
            json!([{"image": "a:1", "name": "a"}, {"image": "b:1", "name": "b"}])
        );
    }

    #[test]
    fn fields_of_an_unexpected_form_are_left_out() {
        let object = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": "text", "status": ["list"],
        });
        assert!(stripped("Pod", &object).get("spec").is_none());
        assert!(strip(&kind("Pod"), &json!({"metadata": {}})).is_err());
    }

    #[test]
    fn the_same_object_is_the_same_bytes() {
        let one: Value =
            serde_json::from_str(r#"{"metadata":{"name":"a","labels":{"x":"1","a":"2"}}}"#)
                .unwrap();
        let other: Value =
            serde_json::from_str(r#"{"metadata":{"labels":{"a":"2","x":"1"},"name":"a"}}"#)
                .unwrap();
        assert_eq!(strip(&kind("Node"), &one), strip(&kind("Node"), &other));
    }
}
