//! A cluster of the size the resolver is measured with: its identities, their labels and its policies.

use serde_json::{Value, json};

use crate::input::{PolicyId, PolicyKind};

/// Namespaces, called `ns0` and on.
pub const NAMESPACES: u32 = 100;

/// Number of the identity that is `number`th.
pub const fn identity(number: u32) -> u32 {
    256 + number
}

/// Name of the namespace that the `number`th identity or policy is in.
pub fn namespace(number: u32) -> String {
    format!("ns{}", number % NAMESPACES)
}

/// Labels of the pods with the `number`th identity.
pub fn pod_labels(number: u32) -> [(&'static str, String); 2] {
    [
        ("app", format!("app{}", number / NAMESPACES % 20)),
        ("version", format!("v{}", number / NAMESPACES)),
    ]
}

/// Label `team` of the namespace the `number`th identity is in.
pub fn team(number: u32) -> String {
    format!("team{}", number % 10)
}

/// All labels of the `number`th identity.
pub fn labels(number: u32) -> cilium_api::LabelSet {
    let of_pod = pod_labels(number).map(|(key, value)| (format!("k8s:{key}"), value));
    let others = [
        ("io.cilium.k8s.namespace.labels.team", team(number)),
        ("io.cilium.k8s.policy.cluster", "default".to_owned()),
        ("io.cilium.k8s.policy.serviceaccount", "default".to_owned()),
        ("io.kubernetes.pod.namespace", namespace(number)),
    ]
    .map(|(key, value)| (format!("k8s:{key}"), value));
    of_pod.into_iter().chain(others).collect()
}

/// Two policies per namespace: pods among themselves and a team of other namespaces; the world without some networks.
pub fn policy(number: u32, port: u32) -> (PolicyId, Value) {
    let namespace = namespace(number);
    let id = PolicyId {
        kind: PolicyKind::CiliumNetworkPolicy,
        namespace: namespace.clone(),
        name: format!("p{number}"),
    };
    let team = team(number);
    let spec = if number < NAMESPACES {
        json!({"endpointSelector": {}, "ingress": [
            {"fromEndpoints": [{}], "toPorts": [{"ports": [{"port": port.to_string(), "protocol": "TCP"}]}]},
            {"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": team},
                                "matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}],
             "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]},
        ]})
    } else {
        json!({"endpointSelector": {"matchLabels": {"app": "app1"}}, "egress": [
            {"toEntities": ["cluster"]},
            {"toCIDRSet": [{"cidr": "0.0.0.0/0", "except": [format!("10.{}.0.0/16", number % 250)]}],
             "toPorts": [{"ports": [{"port": port.to_string(), "endPort": port + 100, "protocol": "TCP"}]}]},
        ]})
    };
    (
        id.clone(),
        json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": id.name, "namespace": namespace, "uid": id.name}, "spec": spec}),
    )
}
