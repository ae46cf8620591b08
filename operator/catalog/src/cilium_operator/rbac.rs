use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::WORKLOAD;
use crate::RenderError;
use crate::cilium_agent::rbac::{binding, cluster_binding};
use crate::object::Builder;

pub(super) fn all(builder: &Builder) -> Result<Vec<DynamicObject>, RenderError> {
    let name = WORKLOAD.name;
    Ok(vec![
        builder.service_account(name, true)?,
        builder.cluster(
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
            name,
            json!({"rules": rules()}),
        )?,
        cluster_binding(builder, name)?,
        builder.namespaced(
            ("rbac.authorization.k8s.io/v1", "Role"),
            name,
            json!({"rules": namespaced_rules()}),
        )?,
        binding(builder, name)?,
    ])
}

fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes", "nodes/status", "services/status"], "verbs": ["patch"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumendpoints", "ciliumidentities", "ciliumnodes"], "verbs": ["list", "watch", "delete"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumcidrgroups", "ciliumclusterwidenetworkpolicies", "ciliumloadbalancerippools", "ciliumnetworkpolicies"], "verbs": ["list", "watch"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumclusterwidenetworkpolicies/status", "ciliumloadbalancerippools/status", "ciliumnetworkpolicies/status"], "verbs": ["patch"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumidentities"], "verbs": ["create"]},
        {"apiGroups": ["cilium.io"], "resources": ["ciliumnodes", "ciliumnodes/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ])
}

fn namespaced_rules() -> Value {
    json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [cilium_api::names::OPERATOR_LEASE], "verbs": ["get", "update"]},
    ])
}
