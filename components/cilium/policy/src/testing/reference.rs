//! What policies mean for a packet, written down from their documentation and from nothing else here: objects as JSON in, one
//! answer out. Slow on purpose.

mod cilium;
mod kubernetes;
mod labels;

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use serde_json::Value;

use super::scene::{Packet, Pod, Scene};
use crate::{input::PolicyKind, key::Direction};

type Labels = BTreeMap<String, String>;

/// What the policies of one object say about a packet.
#[derive(Clone, Copy, Debug, Default)]
struct Opinion {
    isolates: bool,
    allows: bool,
    denies: bool,
}

/// A packet with what is known of both ends.
struct Case<'a> {
    scene: &'a Scene,
    packet: &'a Packet,
    pod: &'a Pod,
    peer_labels: Labels,
}

/// Whether the packet passes the policy of its subject.
pub fn allows(scene: &Scene, packet: &Packet) -> bool {
    if packet.direction == Direction::Ingress && packet.identity == 1 {
        return true;
    }
    let case = Case::new(scene, packet);
    let mut sum = Opinion {
        isolates: case.pod.identity == 5,
        ..Opinion::default()
    };
    for (id, object) in &scene.policies {
        let opinion = match id.kind {
            PolicyKind::NetworkPolicy => kubernetes::opinion(&case, &id.namespace, &object["spec"]),
            PolicyKind::CiliumNetworkPolicy => cilium::opinion(&case, Some(&id.namespace), object),
            PolicyKind::CiliumClusterwideNetworkPolicy => cilium::opinion(&case, None, object),
        };
        sum = sum.and(opinion);
    }
    !sum.denies && (sum.allows || !sum.isolates)
}

impl Opinion {
    fn and(self, other: Self) -> Self {
        Self {
            isolates: self.isolates || other.isolates,
            allows: self.allows || other.allows,
            denies: self.denies || other.denies,
        }
    }
}

impl<'a> Case<'a> {
    fn new(scene: &'a Scene, packet: &'a Packet) -> Self {
        let reserved = |names: &[&str]| {
            names
                .iter()
                .map(|n| (format!("reserved:{n}"), String::new()))
                .collect()
        };
        let pod = scene.pods.iter().find(|p| p.identity == packet.identity);
        let peer_labels = match (packet.identity, pod) {
            (1, _) => reserved(&["host"]),
            (2, _) => reserved(&["world"]),
            (3, _) => reserved(&["unmanaged"]),
            (4, _) => reserved(&["health"]),
            (6, _) => reserved(&["remote-node"]),
            (7, _) => reserved(&["kube-apiserver", "remote-node"]),
            (8, _) => reserved(&["ingress"]),
            (_, Some(pod)) => pod.labels.as_map().clone(),
            (_, None) => Labels::new(),
        };
        Self {
            scene,
            packet,
            pod: &scene.pods[packet.subject],
            peer_labels,
        }
    }

    fn ingress(&self) -> bool {
        self.packet.direction == Direction::Ingress
    }

    /// Whether the peer's address is outside the cluster.
    fn peer_is_outside(&self) -> bool {
        self.packet.identity == 2
    }

    fn pod_labels(&self) -> &Labels {
        self.pod.labels.as_map()
    }

    /// Whether the destination calls the packet's port by this name.
    fn port_is_called(&self, name: &str) -> bool {
        let packet = self.packet;
        let calls = |pod: &Pod| {
            let numbers = pod.named_ports.get(&(name.to_owned(), packet.protocol));
            numbers.is_some_and(|numbers| numbers.contains(&packet.port))
        };
        if self.ingress() {
            calls(self.pod)
        } else {
            self.scene
                .pods
                .iter()
                .any(|pod| pod.identity == packet.identity && calls(pod))
        }
    }
}

fn in_network(address: Ipv4Addr, network: &Value) -> bool {
    let text = network.as_str().unwrap_or_default();
    text.parse::<Ipv4Net>().is_ok_and(|n| n.contains(&address)) || text.parse() == Ok(address)
}

fn in_any_network(address: Ipv4Addr, networks: &Value) -> bool {
    list(networks).iter().any(|n| in_network(address, n))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn protocol_number(name: &str) -> Option<u8> {
    match name {
        "TCP" => Some(6),
        "UDP" => Some(17),
        "SCTP" => Some(132),
        _ => None,
    }
}
