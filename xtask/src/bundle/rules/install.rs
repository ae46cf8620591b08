//! Rules about `install.yaml`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Bundle, items};

/// Taints a node has before there is a pod network. An operator that waits for them to go waits for itself.
const EARLY_TAINTS: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/network-unavailable",
];
/// The optional ConfigMap with the API server's address.
const ADDRESS: &str = "gloonet-api-server";

/// Namespaces exist before what lies in them, rights and accounts are there, nothing belongs to OLM, no image is missing from
/// relatedImages.
pub(super) fn complete(bundle: &Bundle) -> Vec<String> {
    let mut broken = Vec::new();
    let mut namespaces = BTreeSet::from(["default", "kube-system"]);
    for object in &bundle.install {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if kind == "Namespace" {
            namespaces.insert(name);
        }
        if let Some(namespace) = object["metadata"]["namespace"].as_str()
            && !namespaces.contains(namespace)
        {
            broken.push(format!(
                "install.yaml: {kind} {name} comes before its namespace {namespace}"
            ));
        }
        if object["apiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("operators.coreos.com/"))
        {
            broken.push(format!(
                "install.yaml: {kind} {name} needs OLM, which needs a pod network"
            ));
        }
    }
    for kind in [
        "Namespace",
        "CustomResourceDefinition",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Deployment",
    ] {
        if !bundle.install.iter().any(|object| object["kind"] == kind) {
            broken.push(format!("install.yaml has no {kind}"));
        }
    }
    broken
}

/// The operator runs on the host network of a node that is not ready, and finds the API server without a Service.
pub(super) fn starts_without_network(bundle: &Bundle) -> Vec<String> {
    let mut broken = Vec::new();
    for deployment in bundle
        .install
        .iter()
        .filter(|object| object["kind"] == "Deployment")
    {
        let name = &deployment["metadata"]["name"];
        let pod = &deployment["spec"]["template"]["spec"];
        if pod["hostNetwork"] != true {
            broken.push(format!("install.yaml: {name} is not on the host network"));
        }
        for taint in EARLY_TAINTS {
            if !items(&pod["tolerations"])
                .iter()
                .any(|toleration| tolerates(toleration, taint))
            {
                broken.push(format!("install.yaml: {name} does not tolerate {taint}"));
            }
        }
        for container in items(&pod["containers"]) {
            for variable in ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] {
                if !items(&container["env"])
                    .iter()
                    .any(|env| env["name"] == variable && optional_address(env))
                {
                    broken.push(format!("install.yaml: {name} does not take {variable} from the optional ConfigMap {ADDRESS}"));
                }
            }
        }
    }
    broken
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let every_taint = toleration["key"].is_null() && toleration["operator"] == "Exists";
    (every_taint || toleration["key"] == taint) && toleration["effect"] != "NoExecute"
}

fn optional_address(env: &Value) -> bool {
    let source = &env["valueFrom"]["configMapKeyRef"];
    source["name"] == ADDRESS && source["optional"] == true
}
