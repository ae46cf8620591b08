//! What an agent may do: read the cluster, write its own node's objects. No Secrets, no exec, no deletes, no wildcards.

use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::RenderError;
use crate::object::Builder;

const NAME: &str = cilium_api::names::AGENT;

pub(super) fn all(builder: &Builder) -> Result<Vec<DynamicObject>, RenderError> {
    Ok(vec![
        builder.service_account(NAME, true)?,
        builder.cluster(
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
            NAME,
            json!({"rules": rules()}),
        )?,
        cluster_binding(builder, NAME)?,
        builder.namespaced(
            ("rbac.authorization.k8s.io/v1", "Role"),
            NAME,
            json!({"rules": events()}),
        )?,
        binding(builder, NAME)?,
    ])
}

fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumendpoints", "ciliumnodes"], "verbs": ["list", "watch", "create", "patch"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumcidrgroups", "ciliumclusterwidenetworkpolicies", "ciliumidentities", "ciliumnetworkpolicies"], "verbs": ["list", "watch"]},
    ])
}

fn events() -> Value {
    json!([{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}])
}

/// Binds ClusterRole `name` to ServiceAccount `name` of kube-system.
pub(crate) fn cluster_binding(builder: &Builder, name: &str) -> Result<DynamicObject, RenderError> {
    builder.cluster(("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), name, json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": cilium_api::names::NAMESPACE}],
    }))
}

/// Binds Role `name` of kube-system to ServiceAccount `name` there.
pub(crate) fn binding(builder: &Builder, name: &str) -> Result<DynamicObject, RenderError> {
    builder.namespaced(("rbac.authorization.k8s.io/v1", "RoleBinding"), name, json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": cilium_api::names::NAMESPACE}],
    }))
}
