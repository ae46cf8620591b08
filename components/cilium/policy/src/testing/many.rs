//! A pod that hundreds of policies of all kinds select, each of which says something that no other says.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::scene::{Packet, Pod, Scene};
use crate::{
    input::{NamedPorts, PolicyId, PolicyKind},
    key::{Direction, WORLD},
};

/// The pod they all select, another one of its namespace, and one of another namespace.
pub fn pods() -> Vec<Pod> {
    let pod = |identity, last, namespace: &str, app: &str| Pod {
        identity,
        labels: [
            ("k8s:app", app),
            ("k8s:io.cilium.k8s.policy.cluster", "default"),
            ("k8s:io.kubernetes.pod.namespace", namespace),
        ]
        .into_iter()
        .collect(),
        address: Ipv4Addr::new(10, 0, 0, last),
        named_ports: NamedPorts::new(),
    };
    vec![
        pod(256, 1, "red", "web"),
        pod(257, 2, "red", "db"),
        pod(258, 3, "blue", "web"),
    ]
}

/// The pods with the policies of these numbers.
pub fn scene(policies: impl IntoIterator<Item = u16>) -> Scene {
    Scene {
        pods: pods(),
        policies: policies.into_iter().map(policy).collect(),
        ..Scene::default()
    }
}

/// Policies of three kinds, for both directions: networks with exceptions, pods, and denies. Each has a port of its own.
pub fn policy(number: u16) -> (PolicyId, Value) {
    let kind = match number % 3 {
        0 => PolicyKind::NetworkPolicy,
        1 => PolicyKind::CiliumNetworkPolicy,
        _ => PolicyKind::CiliumClusterwideNetworkPolicy,
    };
    let (api, namespace) = match kind {
        PolicyKind::NetworkPolicy => ("networking.k8s.io/v1", "red"),
        PolicyKind::CiliumNetworkPolicy => ("cilium.io/v2", "red"),
        PolicyKind::CiliumClusterwideNetworkPolicy => ("cilium.io/v2", ""),
    };
    let name = format!("p{number}");
    let spec = match kind {
        PolicyKind::NetworkPolicy => network_policy(number),
        _ => cilium_rule(number),
    };
    let object = json!({
        "apiVersion": api, "kind": kind.to_string(),
        "metadata": {"name": name, "namespace": namespace, "uid": name}, "spec": spec,
    });
    let namespace = namespace.to_owned();
    let id = PolicyId {
        kind,
        namespace,
        name,
    };
    (id, object)
}

/// What each policy speaks of, what it does not, and what only others do, seen from the pod they all select.
pub fn packets(number: u16) -> Vec<Packet> {
    let packet = |identity, address, port| Packet {
        subject: 0,
        direction: direction(number),
        identity,
        address,
        protocol: 6,
        port,
    };
    let [second, third] = octets(number);
    let outside = |last| Ipv4Addr::new(203, second, third, last);
    let peers = [
        (WORLD, outside(7)),
        (WORLD, outside(200)),
        (257, Ipv4Addr::new(10, 0, 0, 2)),
        (258, Ipv4Addr::new(10, 0, 0, 3)),
    ];
    let of = |(identity, address)| {
        [port(number), port(number + 1)]
            .map(|port| packet(identity, address, port))
            .into_iter()
    };
    peers.into_iter().flat_map(of).collect()
}

fn port(number: u16) -> u16 {
    1000 + number
}

fn direction(number: u16) -> Direction {
    if is_ingress(number) {
        Direction::Ingress
    } else {
        Direction::Egress
    }
}

fn is_ingress(number: u16) -> bool {
    (number / 3).is_multiple_of(2)
}

/// Some networks are named by several policies.
fn octets(number: u16) -> [u8; 2] {
    let network = u8::try_from(number % 200).unwrap_or_default();
    [network / 16, network]
}

fn network(number: u16) -> Value {
    let [second, third] = octets(number);
    let around = if number.is_multiple_of(25) {
        "203.0.0.0/8".to_owned()
    } else {
        format!("203.{second}.{third}.0/24")
    };
    json!({"cidr": around, "except": [format!("203.{second}.{third}.192/26")]})
}

fn network_policy(number: u16) -> Value {
    let peer = match number % 4 {
        0 => json!({"podSelector": {"matchLabels": {"app": "db"}}}),
        1 => json!({"namespaceSelector": {}}),
        _ => json!({"ipBlock": network(number)}),
    };
    let (section, peers, kind) = if is_ingress(number) {
        ("ingress", "from", "Ingress")
    } else {
        ("egress", "to", "Egress")
    };
    json!({
        "podSelector": {}, "policyTypes": [kind],
        section: [{peers: [peer], "ports": [{"port": port(number), "protocol": "TCP"}]}],
    })
}

/// Every seventh denies what it allows, and what its neighbours in the list do.
fn cilium_rule(number: u16) -> Value {
    let way = if is_ingress(number) { "from" } else { "to" };
    let (peers, list) = match number % 4 {
        0 => ("Endpoints", json!([{"matchLabels": {"app": "db"}}])),
        1 => ("Entities", json!(["cluster"])),
        _ => ("CIDRSet", json!([network(number)])),
    };
    let (allow, deny) = if is_ingress(number) {
        ("ingress", "ingressDeny")
    } else {
        ("egress", "egressDeny")
    };
    let element = |ports| json!([{format!("{way}{peers}"): list, "toPorts": [{"ports": [ports]}]}]);
    let own = json!({"port": port(number).to_string(), "protocol": "TCP"});
    let mut rule = json!({
        "endpointSelector": {"matchLabels": {"app": "web"}},
        allow: element(own.clone()),
    });
    if number.is_multiple_of(7) {
        let around = json!({"port": port(number - 3).to_string(), "endPort": port(number + 3), "protocol": "TCP"});
        rule[deny] = element(if number.is_multiple_of(2) {
            own
        } else {
            around
        });
    }
    rule
}
