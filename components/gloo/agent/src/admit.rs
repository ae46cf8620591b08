//! What of the server's desired objects is let in.
//!
//! The server may be in the hands of somebody else. The cluster's RBAC and admission policy say the same again.

use gloo_api::labels;
use gloo_relay::key::ObjectKey;
use serde_json::Value;

use crate::kinds;

/// Labels every applied policy has, beside the one with the cluster's name.
const OWNER: [(&str, &str); 3] = [
    (labels::AGENT, labels::GLOO_MESH),
    (labels::OWNER, labels::GLOO_MESH),
    (labels::RECONCILER, labels::TRANSLATOR),
];

/// A desired object that may be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    Policy(Value),
    /// The status of a Gloo resource, with nothing but its names beside it.
    Status(Value),
}

/// Why an object is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the object is no JSON")]
    Json,
    #[error("the object is not the one its key names")]
    Key,
    #[error("objects of this kind are not applied")]
    Kind,
    #[error("namespace {namespace} is protected in this cluster")]
    Protected { namespace: String },
    #[error("the label {label} must be {value:?}")]
    Label { label: String, value: String },
    #[error("the field {field} is not one the server may set")]
    Field { field: String },
}

/// Decides about one object. `cluster` is this one's name.
pub fn admit(cluster: &str, key: &ObjectKey, bytes: &[u8]) -> Result<Admitted, Refused> {
    let object: Value = serde_json::from_slice(bytes).map_err(|_| Refused::Json)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = (
        text(&object["apiVersion"]),
        text(&object["kind"]),
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    );
    let named = (key.api_version(), key.kind(), key.namespace(), key.name());
    if (
        said.0.as_str(),
        said.1.as_str(),
        said.2.as_str(),
        said.3.as_str(),
    ) != named
    {
        return Err(Refused::Key);
    }
    if kinds::POLICY.names(key) {
        policy(cluster, key, &object)?;
        return Ok(Admitted::Policy(object));
    }
    if kinds::GLOO_KINDS.iter().any(|kind| kind.names(key)) {
        only(&object, "", &["apiVersion", "kind", "metadata", "status"])?;
        only(&object["metadata"], "metadata.", &["name", "namespace"])?;
        return Ok(Admitted::Status(object));
    }
    Err(Refused::Kind)
}

fn policy(cluster: &str, key: &ObjectKey, object: &Value) -> Result<(), Refused> {
    let namespace = key.namespace();
    if namespace.is_empty() || labels::is_protected(namespace) {
        return Err(Refused::Protected {
            namespace: namespace.to_owned(),
        });
    }
    only(
        object,
        "",
        &["apiVersion", "kind", "metadata", "spec", "specs"],
    )?;
    only(
        &object["metadata"],
        "metadata.",
        &["name", "namespace", "labels"],
    )?;
    match missing(cluster, &object["metadata"]["labels"]) {
        None => Ok(()),
        Some((label, value)) => Err(Refused::Label {
            label: label.to_owned(),
            value: value.to_owned(),
        }),
    }
}

fn only(object: &Value, prefix: &str, fields: &[&str]) -> Result<(), Refused> {
    let other = object
        .as_object()
        .and_then(|object| object.keys().find(|name| !fields.contains(&name.as_str())));
    match other {
        None => Ok(()),
        Some(name) => Err(Refused::Field {
            field: format!("{prefix}{name}"),
        }),
    }
}

/// The first label of ours that is not there.
fn missing<'a>(cluster: &'a str, given: &Value) -> Option<(&'a str, &'a str)> {
    OWNER
        .into_iter()
        .chain([(labels::RELAY_CLUSTER, cluster)])
        .find(|(label, value)| given[*label] != **value)
}

/// Whether a policy of the cluster is one that this agent applied.
pub fn ours(cluster: &str, object: &Value) -> bool {
    missing(cluster, &object["metadata"]["labels"]).is_none()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn labels() -> Value {
        json!({
            "agent.gloo.solo.io": "gloo-mesh",
            "owner.gloo.solo.io/name": "gloo-mesh",
            "reconciler.mesh.gloo.solo.io/name": "translator",
            "relay.solo.io/cluster": "west",
        })
    }

    fn policy() -> Value {
        json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "web", "namespace": "shop", "labels": labels()},
            "spec": {"endpointSelector": {}},
        })
    }

    fn judge(object: &Value) -> Result<Admitted, Refused> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = ObjectKey::new(
            &text(&object["apiVersion"]),
            &text(&object["kind"]),
            &text(&object["metadata"]["namespace"]),
            &text(&object["metadata"]["name"]),
        )
        .unwrap();
        admit("west", &key, object.to_string().as_bytes())
    }

    #[test]
    fn a_labelled_policy_of_this_cluster_is_let_in() {
        assert!(matches!(judge(&policy()), Ok(Admitted::Policy(_))));
    }

    #[test]
    fn other_kinds_are_refused() {
        for (version, kind) in [
            ("v1", "Secret"),
            ("apps/v1", "DaemonSet"),
            ("cilium.io/v2", "CiliumClusterwideNetworkPolicy"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding"),
            ("cilium.io/v3", "CiliumNetworkPolicy"),
        ] {
            let mut object = policy();
            object["apiVersion"] = version.into();
            object["kind"] = kind.into();
            assert_eq!(judge(&object), Err(Refused::Kind), "{kind}");
        }
    }

    #[test]
    fn protected_namespaces_stay_as_they_are() {
        for namespace in ["kube-system", "gloo-mesh", "gloonet-system", ""] {
            let mut object = policy();
            object["metadata"]["namespace"] = namespace.into();
            let refused = judge(&object).unwrap_err();
            assert!(matches!(refused, Refused::Protected { .. }), "{namespace}");
        }
    }

    #[test]
    fn a_policy_without_each_of_our_labels_or_of_another_cluster_is_refused() {
        for label in labels().as_object().unwrap().keys() {
            let mut object = policy();
            object["metadata"]["labels"][label] = "other".into();
            assert!(
                matches!(judge(&object), Err(Refused::Label { .. })),
                "{label}"
            );
        }
    }

    #[test]
    fn owners_finalizers_and_annotations_are_not_the_servers() {
        for field in [
            "ownerReferences",
            "finalizers",
            "annotations",
            "managedFields",
        ] {
            let mut object = policy();
            object["metadata"][field] = json!([]);
            let refused = judge(&object).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("the field metadata.{field} is not one the server may set")
            );
        }
    }

    #[test]
    fn of_a_gloo_resource_only_the_status_is_written() {
        let mut object = json!({
            "apiVersion": "admin.gloo.solo.io/v2", "kind": "Workspace",
            "metadata": {"name": "shop", "namespace": "gloo-mesh"},
            "status": {"common": {}},
        });
        assert!(matches!(judge(&object), Ok(Admitted::Status(_))));
        object["spec"] = json!({"workloadClusters": []});
        assert_eq!(
            judge(&object),
            Err(Refused::Field {
                field: "spec".to_owned()
            })
        );
    }

    #[test]
    fn an_object_under_another_objects_key_is_refused() {
        let key = ObjectKey::new("cilium.io/v2", "CiliumNetworkPolicy", "shop", "other").unwrap();
        let refused = admit("west", &key, policy().to_string().as_bytes());
        assert_eq!(refused, Err(Refused::Key));
        assert_eq!(admit("west", &key, b"{"), Err(Refused::Json));
    }
}
