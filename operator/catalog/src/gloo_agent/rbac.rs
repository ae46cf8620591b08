//! What the agent may do: read what it reports, write the policies and statuses the server wants, and its own Secrets by name.
//! Which policies, and where, is held down by the admission policy. No Secret is listed, nothing is executed.

use gloonet_api::MESH_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::RenderError;
use crate::object::Builder;
use gloo_api::names::{AGENT, CLIENT_TLS, CONTROL, ROOT, TELEMETRY_TOKEN, TOKEN};

const GROUP: &str = "rbac.authorization.k8s.io/v1";
/// What says which CNI there is, in its namespace.
const CNI_CONFIG: &str = "gloo-mesh-agent-cni-config";

pub(super) fn all(builder: &Builder, token: bool) -> Result<Vec<DynamicObject>, RenderError> {
    let elsewhere = |name: &str| json!({"name": name, "namespace": cilium_api::names::NAMESPACE});
    Ok(vec![
        builder.service_account(AGENT, true)?,
        builder.cluster(
            (GROUP, "ClusterRole"),
            AGENT,
            json!({"rules": cluster_rules()}),
        )?,
        builder.cluster(
            (GROUP, "ClusterRoleBinding"),
            AGENT,
            binding("ClusterRole", AGENT),
        )?,
        builder.namespaced((GROUP, "Role"), AGENT, json!({"rules": rules(token)}))?,
        builder.namespaced((GROUP, "RoleBinding"), AGENT, binding("Role", AGENT))?,
        builder.object(
            (GROUP, "Role"),
            elsewhere(CNI_CONFIG),
            json!({"rules": [only_config_map(cilium_api::names::CONFIG_MAP)]}),
        )?,
        builder.object((GROUP, "RoleBinding"), elsewhere(CNI_CONFIG), {
            let mut binding = binding("Role", AGENT);
            binding["roleRef"]["name"] = json!(CNI_CONFIG);
            binding
        })?,
    ])
}

fn cluster_rules() -> Value {
    let watch = ["list", "watch"];
    let gloo = [
        (
            "admin.gloo.solo.io",
            vec![
                "dashboards",
                "insightsconfigs",
                "kubernetesclusters",
                "workspaces",
                "workspacesettings",
            ],
        ),
        ("security.policy.gloo.solo.io", vec!["accesspolicies"]),
    ];
    let mut rules = vec![
        json!({"apiGroups": [""], "resources": ["namespaces", "nodes", "pods", "serviceaccounts", "services"], "verbs": watch}),
        // The UID of this one is the cluster's.
        json!({"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}),
        json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch}),
        json!({"apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "statefulsets"], "verbs": watch}),
        json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"], "verbs": watch}),
        json!({"apiGroups": ["cilium.io"], "resources": ["ciliumnodes"], "verbs": watch}),
        json!({"apiGroups": ["cilium.io"], "resources": ["ciliumnetworkpolicies"], "verbs": ["list", "watch", "create", "patch", "delete"]}),
    ];
    for (group, resources) in gloo {
        let status: Vec<String> = resources
            .iter()
            .map(|resource| format!("{resource}/status"))
            .collect();
        rules.push(json!({"apiGroups": [group], "resources": resources, "verbs": watch}));
        rules.push(json!({"apiGroups": [group], "resources": status, "verbs": ["patch"]}));
    }
    Value::Array(rules)
}

/// In gloo-mesh. The certificate is written into what the operator made empty, so that no right to create is needed.
fn rules(token: bool) -> Value {
    let mut written = vec![CLIENT_TLS];
    written.extend(token.then_some(TELEMETRY_TOKEN));
    json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [ROOT, TOKEN], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": written, "verbs": ["get", "update"]},
        only_config_map(CONTROL),
    ])
}

/// A watch of one object by its name is held to that name.
fn only_config_map(name: &str) -> Value {
    json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name], "verbs": ["list", "watch"]})
}

/// Binds the ClusterRole or Role `name` to ServiceAccount `name` of gloo-mesh.
pub(crate) fn binding(kind: &str, name: &str) -> Value {
    json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": MESH_NAMESPACE}],
    })
}
