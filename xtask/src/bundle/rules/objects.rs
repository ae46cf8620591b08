//! Rules about the objects beside the ClusterServiceVersion, and about its containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Bundle, items};

/// Kinds that OLM installs from a bundle. NetworkPolicy is refused by the community pipeline: the operator makes its own.
const KINDS: [&str; 13] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterServiceVersion",
    "ConfigMap",
    "ConsoleYAMLSample",
    "CustomResourceDefinition",
    "PodDisruptionBudget",
    "PriorityClass",
    "PrometheusRule",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceMonitor",
];
/// Versions that Kubernetes has removed or will remove.
const REMOVED_VERSIONS: [&str; 4] = [
    "apiextensions.k8s.io/v1beta1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1beta1",
    "networking.k8s.io/v1beta1",
];

/// Only kinds OLM takes, in versions that exist, and never the operator's own ServiceAccount.
pub(super) fn kinds(bundle: &Bundle) -> Vec<String> {
    let accounts = bundle.service_accounts();
    let mut broken = Vec::new();
    for (file, object) in &bundle.manifests {
        let kind = object["kind"].as_str().unwrap_or_default();
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if kind == "ServiceAccount" && accounts.contains(name) {
            broken.push(format!(
                "{file}: OLM makes the ServiceAccount {name} itself; a bundled one is refused"
            ));
        } else if !KINDS.contains(&kind) {
            broken.push(format!("{file}: OLM takes no {kind} from a bundle"));
        }
        if REMOVED_VERSIONS.contains(&version) {
            broken.push(format!("{file}: {version} is removed from Kubernetes"));
        }
        if kind == "PriorityClass" && object["globalDefault"] == true {
            broken.push(format!(
                "{file}: a PriorityClass of an operator may not be the cluster's default"
            ));
        }
    }
    broken
}

/// Owned definitions are in the bundle, each once, described down to the version's schema; nothing else is.
pub(super) fn definitions(bundle: &Bundle) -> Vec<String> {
    let mut bundled = BTreeSet::new();
    let mut broken = Vec::new();
    for crd in bundle.of_kind("CustomResourceDefinition") {
        let name = crd["metadata"]["name"].as_str().unwrap_or_default();
        for version in items(&crd["spec"]["versions"]) {
            let id = (name, version["name"].as_str().unwrap_or_default());
            if !bundled.insert(id) {
                broken.push(format!("manifests/ has {name} {} twice", id.1));
            }
            let schema = &version["schema"]["openAPIV3Schema"];
            for (place, text) in [
                ("the schema", &schema["description"]),
                ("spec", &schema["properties"]["spec"]["description"]),
            ] {
                if text.as_str().is_none_or(str::is_empty) {
                    broken.push(format!("{name} {}: {place} has no description", id.1));
                }
            }
        }
    }
    for owned in items(&bundle.csv()["spec"]["customresourcedefinitions"]["owned"]) {
        let name = owned["name"].as_str().unwrap_or_default();
        let version = owned["version"].as_str().unwrap_or_default();
        if !bundled.remove(&(name, version)) {
            broken.push(format!(
                "{name} {version} is owned but not in manifests/, or owned twice"
            ));
        }
        for descriptors in ["specDescriptors", "statusDescriptors", "resources"] {
            if items(&owned[descriptors]).is_empty() {
                broken.push(format!("{name}: {descriptors} are missing"));
            }
        }
    }
    broken.extend(
        bundled
            .iter()
            .map(|(name, version)| format!("{name} {version} is in manifests/ but not owned")),
    );
    broken
}

/// A budget that allows no eviction blocks every drain.
pub(super) fn disruption_budgets(bundle: &Bundle) -> Vec<String> {
    bundle
        .of_kind("PodDisruptionBudget")
        .filter(|budget| {
            let spec = &budget["spec"];
            matches!(spec["maxUnavailable"].as_u64(), Some(0))
                || spec["maxUnavailable"] == "0%"
                || spec["minAvailable"] == "100%"
        })
        .map(|budget| {
            format!(
                "PodDisruptionBudget {}: it allows no eviction at all",
                budget["metadata"]["name"]
            )
        })
        .collect()
}

/// CPU and memory are requested by every container of the operator.
pub(super) fn containers(bundle: &Bundle) -> Vec<String> {
    let containers = bundle.containers();
    if containers.is_empty() {
        return vec!["the ClusterServiceVersion runs no container".to_owned()];
    }
    let lacks =
        |container: &Value, resource: &str| container["resources"]["requests"][resource].is_null();
    containers
        .into_iter()
        .flat_map(|container| {
            ["cpu", "memory"]
                .into_iter()
                .filter(|resource| lacks(container, resource))
                .map(|resource| format!("container {} requests no {resource}", container["name"]))
                .collect::<Vec<_>>()
        })
        .collect()
}
