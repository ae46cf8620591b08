//! What the analyzer may do: read what it reports about. No Secret, nothing written, nothing executed.

use gloonet_api::OPERATOR_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::object::Builder;
use crate::{RenderError, gloo_agent, operator};
use gloo_api::names::ANALYZER;

const GROUP: &str = "rbac.authorization.k8s.io/v1";

pub(super) fn all(builder: &Builder) -> Result<Vec<DynamicObject>, RenderError> {
    let mut objects = vec![
        builder.service_account(ANALYZER, true)?,
        builder.cluster(
            (GROUP, "ClusterRole"),
            ANALYZER,
            json!({"rules": cluster_rules()}),
        )?,
        builder.cluster(
            (GROUP, "ClusterRoleBinding"),
            ANALYZER,
            gloo_agent::rbac::binding("ClusterRole", ANALYZER),
        )?,
    ];
    for (namespace, rules) in [
        (cilium_api::names::NAMESPACE, kube_system()),
        (
            OPERATOR_NAMESPACE,
            only("coordination.k8s.io", "leases", operator::LEASE),
        ),
    ] {
        let place = || json!({"name": ANALYZER, "namespace": namespace});
        objects.push(builder.object((GROUP, "Role"), place(), json!({"rules": rules}))?);
        objects.push(builder.object(
            (GROUP, "RoleBinding"),
            place(),
            gloo_agent::rbac::binding("Role", ANALYZER),
        )?);
    }
    Ok(objects)
}

fn cluster_rules() -> Value {
    let groups: [(&str, &[&str]); 7] = [
        ("", &["namespaces", "nodes", "pods", "services"]),
        ("apps", &["daemonsets", "deployments"]),
        ("networking.k8s.io", &["networkpolicies"]),
        (
            "cilium.io",
            &[
                "ciliumclusterwidenetworkpolicies",
                "ciliumendpoints",
                "ciliumidentities",
                "ciliumnetworkpolicies",
                "ciliumnodes",
            ],
        ),
        ("gloonetwork.io", &["gloonetworks"]),
        ("admin.gloo.solo.io", &["workspaces", "workspacesettings"]),
        ("security.policy.gloo.solo.io", &["accesspolicies"]),
    ];
    groups
        .iter()
        .map(|(group, resources)| {
            json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]})
        })
        .collect()
}

fn kube_system() -> Value {
    let mut rules = only(
        "coordination.k8s.io",
        "leases",
        cilium_api::names::OPERATOR_LEASE,
    );
    if let (Value::Array(rules), Value::Array(more)) = (
        &mut rules,
        only("", "configmaps", cilium_api::names::CONFIG_MAP),
    ) {
        rules.extend(more);
    }
    rules
}

fn only(group: &str, resource: &str, name: &str) -> Value {
    json!([{"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": ["get"]}])
}
