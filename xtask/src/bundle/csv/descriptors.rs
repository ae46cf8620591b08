//! How a console shows a `GlooNetwork`.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The kinds a user finds below a `GlooNetwork`.
const RESOURCES: [(&str, &str); 5] = [
    ("ConfigMap", "v1"),
    ("DaemonSet", "v1"),
    ("Deployment", "v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
];
/// (path, name, what it is): the fields a user looks for first.
const SPEC: [(&str, &str, &str); 3] = [
    (
        "clusterName",
        "Cluster name",
        "Name of this cluster among others. Cannot change.",
    ),
    (
        "role",
        "Role",
        "What this cluster is for others. Cannot change.",
    ),
    (
        "cilium.ipam.clusterPoolIPv4CIDRs",
        "Pod address pool",
        "Ranges that pod addresses come from.",
    ),
];
const STATUS: [(&str, &str, &str); 3] = [
    (
        "conditions",
        "Conditions",
        "Available, Progressing, Degraded, Upgradeable, Paused.",
    ),
    (
        "components",
        "Components",
        "One row per component: health, since when, and why.",
    ),
    ("message", "Message", "The one sentence to read first."),
];

/// The entry of one CRD under `customresourcedefinitions.owned`.
pub(super) fn owned(crd: &Value) -> Result<Value> {
    let version = crd["spec"]["versions"][0].clone();
    let described = &version["schema"]["openAPIV3Schema"]["description"];
    Ok(json!({
        "description": described.as_str().context("the CRD's schema has no description")?,
        "displayName": crd["spec"]["names"]["kind"],
        "kind": crd["spec"]["names"]["kind"],
        "name": crd["metadata"]["name"],
        "resources": RESOURCES.map(|(kind, version)| json!({"kind": kind, "name": "", "version": version})),
        "specDescriptors": SPEC.map(descriptor),
        "statusDescriptors": STATUS.map(descriptor),
        "version": version["name"],
    }))
}

fn descriptor((path, name, description): (&str, &str, &str)) -> Value {
    json!({"path": path, "displayName": name, "description": description})
}
