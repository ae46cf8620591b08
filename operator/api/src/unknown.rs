//! Names the fields of a manifest that the schema does not know.
//!
//! The API server drops such fields before they are stored (structural schema pruning), so a spelling mistake sent with
//! validation switched off would have no effect and no trace. Whoever still holds the original text (the client's
//! last-applied annotation, a file given to `gloonet render`) can ask here.

use kube::CustomResourceExt;
use serde_json::Value;

use crate::gloonetwork::GlooNetwork;

/// Paths such as `spec.cilium.routing.mtuu` that the schema of this release does not know, in document order.
pub fn unknown_fields(manifest: &Value) -> Vec<String> {
    let crd = serde_json::to_value(GlooNetwork::crd()).unwrap_or_default();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = Vec::new();
    if let Some(spec) = manifest.get("spec") {
        walk("spec", spec, schema, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(fields) => {
            let open = schema.get("additionalProperties");
            for (name, child) in fields {
                let here = format!("{path}.{name}");
                match schema
                    .get("properties")
                    .and_then(|known| known.get(name))
                    .or(open)
                {
                    Some(known) => walk(&here, child, known, found),
                    None => found.push(here),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), item, &schema["items"], found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_field_is_named_with_its_path() {
        let manifest = json!({"spec": {"clusterName": "west", "cilium": {"routing": {"mtuu": 1400}}, "redys": {}}});
        assert_eq!(
            unknown_fields(&manifest),
            ["spec.cilium.routing.mtuu", "spec.redys"]
        );
    }

    #[test]
    fn free_maps_and_known_fields_raise_nothing() {
        let manifest = json!({"spec": {
            "clusterName": "west",
            "images": {"overrides": {"grafana": "example.org/grafana:1"}},
            "redis": {"managed": {"resources": {"limits": {"memory": "1Gi"}}}},
            "telemetry": {"gateway": {"extra": {"exporters": {"otlp/mine": {"tls": {"insecure": true}}}}}},
        }});
        assert_eq!(unknown_fields(&manifest), Vec::<String>::new());
    }
}
