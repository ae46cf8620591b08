//! Where the operator's rights come from, one function per reason.

use gloonet_api::grafana::GrafanaMode;
use gloonet_api::{
    CILIUM_NAMESPACE, GlooNetworkSpec, MESH_NAMESPACE, ManagementState, OPERATOR_NAMESPACE, Role,
    Switch,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_core::DynamicObject;

use super::{LEASE, rbac::Rights};
use crate::SecretSpec;

const WATCH: [&str; 2] = ["list", "watch"];
/// ConfigMap in which the operator keeps what it has made.
const INVENTORY: &str = "gloonet-inventory";
/// Every kind the catalog may render: (apiVersion, kind) to plural, and whether it has a namespace. A test compares it with what is rendered.
const KINDS: [(&str, &str, &str, bool); 17] = [
    ("v1", "Namespace", "namespaces", false),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        false,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "clusterroles",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        true,
    ),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Service", "services", true),
    (
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        true,
    ),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        true,
    ),
    (
        "admin.gloo.solo.io/v2",
        "KubernetesCluster",
        "kubernetesclusters",
        true,
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
];
/// Never deleted by the operator: what people put there hangs on them.
const KEPT: [&str; 3] = [
    "Namespace",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
];

/// What the operator does for itself: its resource and what it reads to judge.
pub(super) fn own(rights: &mut Rights) {
    let group = "gloonetwork.io";
    rights.allow(
        None,
        group,
        "gloonetworks",
        None,
        &["list", "watch", "patch"],
    );
    rights.allow(None, group, "gloonetworks/status", None, &["patch"]);
    rights.allow(None, "", "nodes", None, &WATCH);
    rights.allow(None, "cilium.io", "ciliumnodes", None, &WATCH);
    // The API server lets only those write an admission policy who may get its parameters, here the CiliumNodes.
    rights.allow(None, "cilium.io", "ciliumnodes", None, &["get"]);
    rights.allow(None, "networking.k8s.io", "servicecidrs", None, &["list"]);
    rights.allow(None, "storage.k8s.io", "storageclasses", None, &["list"]);
}

/// The same inside namespaces: events, its Lease, its inventory, pods to diagnose.
pub(super) fn own_in_namespaces(rights: &mut Rights) {
    // GlooNetwork has no namespace; events about it go to the default one.
    rights.allow(
        Some("default"),
        "events.k8s.io",
        "events",
        None,
        &["create", "patch"],
    );
    let home = Some(OPERATOR_NAMESPACE);
    let leases = "coordination.k8s.io";
    rights.allow(home, leases, "leases", None, &["create"]);
    rights.allow(home, leases, "leases", Some(LEASE), &["get", "update"]);
    rights.allow(home, "", "configmaps", None, &["create"]);
    rights.allow(
        home,
        "",
        "configmaps",
        Some(INVENTORY),
        &["get", "patch", "delete"],
    );
    for namespace in [OPERATOR_NAMESPACE, MESH_NAMESPACE, CILIUM_NAMESPACE] {
        rights.allow(Some(namespace), "", "pods", None, &WATCH);
    }
}

/// Secrets: in our namespaces read by any name (the specification may name one of the user's), elsewhere by theirs only;
/// written only where they are ours. Whoever may create cannot be held to a name.
pub(super) fn secrets(rights: &mut Rights, specs: &[SecretSpec]) {
    const READ: [&str; 3] = ["get", "list", "watch"];
    for spec in specs {
        let ours = [OPERATOR_NAMESPACE, MESH_NAMESPACE].contains(&spec.namespace.as_str());
        let name = (!ours).then_some(spec.name.as_str());
        let mut allow = |name, verbs: &[&str]| {
            rights.allow(Some(&spec.namespace), "", "secrets", name, verbs);
        };
        allow(None, &["create"]);
        allow(name, &READ);
        allow(Some(&spec.name), &["patch", "delete"]);
    }
}

/// What is rendered is created, watched, corrected, and (except what carries user data) deleted.
pub(super) fn written(rights: &mut Rights, objects: &[DynamicObject]) {
    for object in objects {
        let Some((group, kind, plural, namespaced)) = kind_of(object) else {
            continue;
        };
        // This one bears the name of the cluster, which is the user's choice.
        let name = object.metadata.name.as_deref();
        let name = name.filter(|_| kind != "KubernetesCluster");
        let namespace = object.metadata.namespace.as_deref().filter(|_| namespaced);
        rights.allow(namespace, group, plural, None, &["create", "list", "watch"]);
        rights.allow(namespace, group, plural, name, &["patch"]);
        if !KEPT.contains(&kind) {
            rights.allow(namespace, group, plural, name, &["delete"]);
        }
    }
}

/// The rules of every role that is rendered, in the scope it is granted in.
pub(super) fn granted(rights: &mut Rights, objects: &[DynamicObject]) {
    for object in objects {
        let Some((_, kind, ..)) = kind_of(object) else {
            continue;
        };
        let namespace = match kind {
            "ClusterRole" => None,
            "Role" => object.metadata.namespace.as_deref(),
            _ => continue,
        };
        let rules: Vec<PolicyRule> =
            serde_json::from_value(object.data["rules"].clone()).unwrap_or_default();
        for rule in rules {
            let verbs: Vec<&str> = rule.verbs.iter().map(String::as_str).collect();
            let names: Vec<Option<&str>> = match &rule.resource_names {
                Some(names) => names.iter().map(|name| Some(name.as_str())).collect(),
                None => vec![None],
            };
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    for name in &names {
                        rights.allow(namespace, group, resource, *name, &verbs);
                    }
                }
            }
        }
    }
}

/// Specifications that together render every object there is.
pub(super) fn shapes() -> Vec<GlooNetworkSpec> {
    let full = GlooNetworkSpec::named("any");
    let mut persistent = full.clone();
    persistent.redis.managed.persistence.state = Switch::Enabled;
    persistent.prometheus.managed.storage.state = Switch::Enabled;
    persistent.telemetry.gateway.replicas = 2;
    persistent.gloo.management_server.replicas = 2;
    let mut foreign_cni = full.clone();
    foreign_cni.cilium.state = ManagementState::Removed;
    foreign_cni.grafana.mode = GrafanaMode::DashboardsOnly;
    let mut workload = full.clone();
    workload.role = Role::Workload;
    workload.telemetry.collectors.gateway_address = Some("192.0.2.2:4320".to_owned());
    workload.gloo.agent.management_address = Some("192.0.2.2:9900".to_owned());
    vec![full, persistent, foreign_cni, workload]
}

/// Group, kind, plural and whether it has a namespace.
pub(super) fn kind_of(
    object: &DynamicObject,
) -> Option<(&'static str, &'static str, &'static str, bool)> {
    let types = object.types.as_ref()?;
    let (api, kind, plural, namespaced) = KINDS
        .iter()
        .find(|(api, kind, ..)| *api == types.api_version && *kind == types.kind)?;
    let group = api.rsplit_once('/').map_or("", |(group, _)| group);
    Some((group, kind, plural, *namespaced))
}
