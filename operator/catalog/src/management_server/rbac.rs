//! What the server may do by itself. What it wants of clusters, its own included, goes through their agents.

use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::object::Builder;
use crate::{RenderError, gloo_agent};
use gloo_api::names::{MANAGEMENT_SERVER, TOKENS};

const GROUP: &str = "rbac.authorization.k8s.io/v1";

pub(super) fn all(builder: &Builder) -> Result<Vec<DynamicObject>, RenderError> {
    let bound = |kind| gloo_agent::rbac::binding(kind, MANAGEMENT_SERVER);
    Ok(vec![
        builder.service_account(MANAGEMENT_SERVER, true)?,
        builder.cluster(
            (GROUP, "ClusterRole"),
            MANAGEMENT_SERVER,
            json!({"rules": cluster_rules()}),
        )?,
        builder.cluster(
            (GROUP, "ClusterRoleBinding"),
            MANAGEMENT_SERVER,
            bound("ClusterRole"),
        )?,
        builder.namespaced(
            (GROUP, "Role"),
            MANAGEMENT_SERVER,
            json!({"rules": rules()}),
        )?,
        builder.namespaced((GROUP, "RoleBinding"), MANAGEMENT_SERVER, bound("Role"))?,
    ])
}

/// Who asks for `/snapshots`, and whether they may.
fn cluster_rules() -> Value {
    json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ])
}

/// In gloo-mesh: the records of tokens, a Lease for each replica (named as its pod), and the clusters with what is said of them.
fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [TOKENS], "verbs": ["get", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "list", "update"]},
        {"apiGroups": ["admin.gloo.solo.io"], "resources": ["kubernetesclusters"], "verbs": ["list", "watch"]},
        {"apiGroups": ["admin.gloo.solo.io"], "resources": ["kubernetesclusters/status"], "verbs": ["patch"]},
    ])
}
