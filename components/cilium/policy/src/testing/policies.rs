//! Policies out of choices: of every kind, and some with parts nobody can follow.

use serde_json::{Map, Value, json};

use super::{choose::Choose, generate::NAMESPACES};
use crate::input::{PolicyId, PolicyKind};

const NETWORKS: [&str; 7] = [
    "203.0.113.0/24",
    "0.0.0.0/0",
    "10.0.0.0/24",
    "10.0.0.0/30",
    "203.0.113.128/25",
    "203.0.113.5/32",
    "192.168.0.0/24",
];

const ENTITIES: [&str; 14] = [
    "world",
    "all",
    "cluster",
    "cluster-mesh",
    "host",
    "init",
    "ingress",
    "unmanaged",
    "remote-node",
    "health",
    "none",
    "kube-apiserver",
    "world-ipv4",
    "world-ipv6",
];

/// A policy of some kind.
pub fn policy(choose: &mut Choose, name: &str) -> (PolicyId, Value) {
    let kind = choose.one(&[
        PolicyKind::NetworkPolicy,
        PolicyKind::CiliumNetworkPolicy,
        PolicyKind::CiliumClusterwideNetworkPolicy,
        PolicyKind::CiliumNetworkPolicy,
    ]);
    let namespace = match kind {
        PolicyKind::CiliumClusterwideNetworkPolicy => "",
        _ => choose.one(&NAMESPACES),
    };
    let api = if kind == PolicyKind::NetworkPolicy {
        "networking.k8s.io/v1"
    } else {
        "cilium.io/v2"
    };
    let mut object = json!({"apiVersion": api, "kind": kind.to_string(), "metadata": {"name": name, "uid": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    match kind {
        PolicyKind::NetworkPolicy => object["spec"] = network_policy(choose),
        _ if choose.once_in(5) => {
            object["specs"] = json!([cilium_rule(choose), cilium_rule(choose)]);
        }
        _ => object["spec"] = cilium_rule(choose),
    }
    let id = PolicyId {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    (id, object)
}

fn network_policy(choose: &mut Choose) -> Value {
    let mut spec = json!({"podSelector": k8s_selector(choose, &POD_LABELS)});
    let types = choose.one(&[
        None,
        Some(json!(["Ingress"])),
        Some(json!(["Ingress", "Egress"])),
        Some(json!(["Egress"])),
    ]);
    if let Some(types) = types {
        spec["policyTypes"] = types;
    }
    for (section, peers) in [("ingress", "from"), ("egress", "to")] {
        if choose.once_in(4) {
            continue;
        }
        let rules: Vec<Value> = (0..choose.below(3))
            .map(|_| k8s_rule(choose, peers))
            .collect();
        spec[section] = rules.into();
    }
    spec
}

fn k8s_rule(choose: &mut Choose, peers: &str) -> Value {
    let mut rule = Map::new();
    if !choose.once_in(4) {
        rule.insert(peers.to_owned(), choose.some(k8s_peer).into());
    }
    if choose.once_in(2) {
        rule.insert("ports".to_owned(), choose.some(k8s_port).into());
    }
    rule.into()
}

fn k8s_peer(choose: &mut Choose) -> Value {
    match choose.below(5) {
        0 => json!({"podSelector": k8s_selector(choose, &POD_LABELS)}),
        1 => json!({"namespaceSelector": k8s_selector(choose, &["team"])}),
        2 => json!({
            "namespaceSelector": k8s_selector(choose, &["team"]),
            "podSelector": k8s_selector(choose, &POD_LABELS),
        }),
        _ => {
            let mut block = json!({"cidr": choose.one(&NETWORKS)});
            if choose.once_in(2) {
                block["except"] = choose.some(|c| c.one(&NETWORKS)).into();
            }
            json!({"ipBlock": block})
        }
    }
}

fn k8s_port(choose: &mut Choose) -> Value {
    let mut port = Map::new();
    if choose.once_in(2) {
        port.insert(
            "protocol".to_owned(),
            choose.one(&["TCP", "UDP", "SCTP"]).into(),
        );
    }
    match choose.below(5) {
        0 => {}
        1 => drop(port.insert("port".to_owned(), "http".into())),
        2 => {
            port.insert("port".to_owned(), 80.into());
            port.insert("endPort".to_owned(), choose.one(&[80, 81, 8080, 79]).into());
        }
        _ => drop(port.insert("port".to_owned(), choose.one(&[80, 81, 53, 443]).into())),
    }
    port.into()
}

/// What a `podSelector` may ask for: labels of pods, and two that the CNI adds.
const POD_LABELS: [&str; 6] = [
    "app",
    "app",
    "tier",
    "tier",
    "io.kubernetes.pod.namespace",
    "io.cilium.k8s.policy.cluster",
];

fn k8s_selector(choose: &mut Choose, keys: &[&str]) -> Value {
    if choose.once_in(3) {
        return json!({});
    }
    let key = choose.one(keys);
    let value = match key {
        "io.kubernetes.pod.namespace" => choose.one(&NAMESPACES),
        "io.cilium.k8s.policy.cluster" => choose.one(&["default", "other"]),
        _ => choose.one(&["web", "db", "a", "b", "r"]),
    };
    if choose.once_in(2) {
        return json!({"matchExpressions": [requirement(choose, key, value)]});
    }
    json!({"matchLabels": {key: value}})
}

fn requirement(choose: &mut Choose, key: &str, value: &str) -> Value {
    match choose.below(4) {
        0 => json!({"key": key, "operator": "NotIn", "values": [value]}),
        1 => json!({"key": key, "operator": "DoesNotExist"}),
        2 => json!({"key": key, "operator": "Exists"}),
        _ => json!({"key": key, "operator": "In", "values": [value, "x"]}),
    }
}

/// Labels of peers that are no pods.
const RESERVED: [&str; 4] = [
    "reserved:host",
    "reserved:unmanaged",
    "reserved:health",
    "reserved:ingress",
];

fn selector(choose: &mut Choose) -> Value {
    const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";
    let key = choose.one(&[
        "app",
        "k8s:app",
        "any:tier",
        NAMESPACE,
        "reserved:init",
        "io.kubernetes.pod.namespace",
        "reserved",
        "k8s:io.cilium.k8s.namespace.labels.team",
    ]);
    let key = match key {
        _ if choose.once_in(30) => "pod-template-hash",
        "reserved" => choose.one(&RESERVED),
        _ => key,
    };
    let value = match key {
        _ if key.starts_with("reserved:") => "",
        _ if key.ends_with("namespace") => choose.one(&NAMESPACES),
        _ if key.ends_with("team") => choose.one(&["r", "b"]),
        _ => choose.one(&["web", "db", "a"]),
    };
    match choose.below(4) {
        0 => json!({}),
        1 => json!({"matchExpressions": [requirement(choose, key, value)]}),
        2 => json!({"matchLabels": {key: value, "app": "web"}}),
        _ => json!({"matchLabels": {key: value}}),
    }
}

fn cilium_rule(choose: &mut Choose) -> Value {
    let mut rule = json!({"endpointSelector": selector(choose)});
    if choose.once_in(20) {
        rule["nodeSelector"] = json!({});
    }
    if choose.once_in(20) {
        rule["ingresDeny"] = json!([]);
    }
    if choose.once_in(30) {
        rule.as_object_mut()
            .map(|fields| fields.remove("endpointSelector"));
    }
    for (section, preposition) in [
        ("ingress", "from"),
        ("egress", "to"),
        ("ingressDeny", "from"),
        ("egressDeny", "to"),
    ] {
        if choose.once_in(2) {
            let elements: Vec<Value> = (0..choose.below(3))
                .map(|_| element(choose, preposition))
                .collect();
            rule[section] = elements.into();
        }
    }
    if choose.once_in(4) {
        rule["enableDefaultDeny"] =
            json!({"ingress": choose.once_in(2), "egress": choose.once_in(2)});
    }
    rule
}

fn element(choose: &mut Choose, preposition: &str) -> Value {
    let mut element = Map::new();
    if !choose.once_in(5) {
        let (kind, list) = peers(choose, preposition);
        element.insert(format!("{preposition}{kind}"), list);
    }
    if choose.once_in(25) {
        let (kind, list) = peers(choose, preposition);
        element.insert(format!("{preposition}{kind}"), list);
    }
    match choose.below(5) {
        0 | 1 => {}
        2 => drop(element.insert("icmps".to_owned(), json!([{"fields": [icmp(choose)]}]))),
        _ => {
            let ports = choose.some(port);
            element.insert("toPorts".to_owned(), json!([{"ports": ports}]));
        }
    }
    if choose.once_in(20) {
        broken(choose, preposition, &mut element);
    }
    element.into()
}

/// Something nobody here can follow.
fn broken(choose: &mut Choose, preposition: &str, element: &mut Map<String, Value>) {
    match choose.below(5) {
        0 => {
            element.clear();
            element.insert(format!("{preposition}Endpointz"), json!([{}]));
        }
        1 => drop(element.insert("authentication".to_owned(), json!({"mode": "required"}))),
        2 => drop(element.insert(
            "toPorts".to_owned(),
            json!([{"ports": [{"port": "80"}], "rules": {"http": [{}]}}]),
        )),
        3 => drop(element.insert(format!("{preposition}Entities"), json!(["everybody"]))),
        _ => drop(element.insert(format!("{preposition}Requires"), json!([{}]))),
    }
}

fn peers(choose: &mut Choose, preposition: &str) -> (&'static str, Value) {
    if choose.once_in(10) {
        let kind = choose.one(&["Endpoints", "CIDR", "Entities"]);
        return (kind, json!([]));
    }
    match choose.below(if preposition == "to" { 6 } else { 5 }) {
        0 => ("Endpoints", choose.some(selector).into()),
        1 => ("Entities", choose.some(|c| c.one(&ENTITIES)).into()),
        2 => ("CIDR", choose.some(|c| c.one(&NETWORKS)).into()),
        3 => ("CIDRSet", choose.some(cidr_rule).into()),
        4 => (
            "Nodes",
            json!([{"matchLabels": {choose.one(&["zone", "app"]): choose.one(&["a", "b", "web"])}}]),
        ),
        _ => ("Services", json!([service(choose)])),
    }
}

fn cidr_rule(choose: &mut Choose) -> Value {
    let mut rule = match choose.below(4) {
        0 | 1 => json!({"cidr": choose.one(&NETWORKS)}),
        2 => json!({"cidrGroupRef": choose.one(&["g1", "g2", "missing", "g"])}),
        _ => json!({"cidrGroupSelector": {"matchLabels": {"env": choose.one(&["prod", "test"])}}}),
    };
    if choose.once_in(2) {
        rule["except"] = choose.some(|c| c.one(&NETWORKS)).into();
    }
    rule
}

fn service(choose: &mut Choose) -> Value {
    match choose.below(3) {
        0 => json!({"k8sService": {"serviceName": "web", "namespace": "red"}}),
        1 => json!({"k8sService": {"serviceName": choose.one(&["outside", "missing"])}}),
        _ => {
            json!({"k8sServiceSelector": {"selector": {"matchLabels": {"kind": choose.one(&["pods", "hand"])}}}})
        }
    }
}

fn port(choose: &mut Choose) -> Value {
    let mut port = Map::new();
    let number = choose.one(&["80", "http", "0", "81", "53"]);
    port.insert("port".to_owned(), number.into());
    if !choose.once_in(3) {
        port.insert(
            "protocol".to_owned(),
            choose.one(&["TCP", "UDP", "ANY", "SCTP"]).into(),
        );
    }
    if choose.once_in(40) {
        port.insert("protocol".to_owned(), "GRE".into());
    }
    if number == "80" && choose.once_in(3) || choose.once_in(20) {
        port.insert(
            "endPort".to_owned(),
            choose.one(&[81, 443, 8080, 70]).into(),
        );
    }
    port.into()
}

fn icmp(choose: &mut Choose) -> Value {
    match choose.below(4) {
        0 => json!({"type": 8}),
        1 => json!({"type": "EchoReply", "family": "IPv4"}),
        2 => json!({"type": "EchoRequest", "family": "IPv6"}),
        _ if choose.once_in(8) => json!({"type": "Nonsense"}),
        _ => json!({"type": 0}),
    }
}
