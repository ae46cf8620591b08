//! A small cluster for tests: the pod default/web-1 and its client shop/client-1 here, kube-system/dns-1 on another node.

pub mod authority;

use std::{net::IpAddr, sync::Arc};

use crate::{
    event::{Direction, Kind, Packet, PacketEvent},
    names::{Endpoint, Names, Node, Policy, ServiceName, Workload},
    observer::Config,
    ring::Capacity,
};

pub const WEB: [u8; 4] = [10, 0, 1, 2];
pub const CLIENT: [u8; 4] = [10, 0, 1, 3];
pub const DNS: [u8; 4] = [10, 0, 2, 4];
pub const WORLD: [u8; 4] = [203, 0, 113, 9];
pub const CIDR_IDENTITY: u32 = (1 << 24) + 5;
pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;
const SECOND: i64 = 1_000_000_000;

/// What the cluster's agent knows.
#[derive(Debug)]
pub struct Cluster;

impl Names for Cluster {
    fn endpoint(&self, address: IpAddr) -> Option<Arc<Endpoint>> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        let endpoint = match address.octets() {
            WEB => pod(11, 2001, "default", "web-1", "Deployment", "web"),
            CLIENT => pod(12, 2002, "shop", "client-1", "StatefulSet", "client"),
            DNS => pod(0, 2003, "kube-system", "dns-1", "DaemonSet", "dns"),
            _ => return None,
        };
        Some(Arc::new(endpoint))
    }

    fn identity_labels(&self, identity: u32) -> Option<Arc<[String]>> {
        let labels: &[&str] = match identity {
            2001 => &[
                "k8s:io.kubernetes.pod.namespace=default",
                "k8s:app=web",
                "k8s:io.cilium.k8s.policy.cluster=east",
            ],
            2002 => &["k8s:app=client"],
            2003 => &["k8s:app=dns"],
            CIDR_IDENTITY => &[
                "reserved:world",
                "cidr:203.0.113.0/24",
                "cidr:203.0.113.9/32",
            ],
            _ => return None,
        };
        Some(labels.iter().map(|&label| label.to_owned()).collect())
    }

    fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<ServiceName> {
        let is_web = address == IpAddr::from(WEB) && port == 80 && protocol == 6;
        is_web.then(|| ServiceName {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
        })
    }

    fn policies(&self, cookie: u32) -> Vec<Policy> {
        vec![Policy {
            kind: "NetworkPolicy".to_owned(),
            namespace: "default".to_owned(),
            name: format!("policy-{cookie}"),
            labels: vec!["k8s:x=y".to_owned()],
            revision: 3,
        }]
    }

    fn interface(&self, index: u32) -> Option<String> {
        (index == 7).then(|| "lxc_web".to_owned())
    }
}

fn pod(id: u16, identity: u32, namespace: &str, pod: &str, kind: &str, workload: &str) -> Endpoint {
    Endpoint {
        id,
        identity,
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        labels: Vec::new(),
        workloads: vec![Workload {
            kind: kind.to_owned(),
            name: workload.to_owned(),
        }],
    }
}

/// Of the node `east/worker-1`, with a ring of `capacity` if a ring can have it.
pub fn config(capacity: usize) -> Config {
    Config {
        capacity: Capacity::at_least(capacity).unwrap_or_default(),
        node: Node {
            cluster: "east".to_owned(),
            name: "worker-1".to_owned(),
            address: Some([192, 0, 2, 1].into()),
        },
        node_labels: vec!["zone=a".to_owned()],
        version: "1.20.2".to_owned(),
        metrics: Vec::new(),
    }
}

/// The trace of a SYN from the client to the web server, on its way into the server, at a second since 1970.
pub fn at(second: i64) -> PacketEvent {
    event(
        Kind::Trace { point: 0 },
        &tcp(CLIENT, WEB, 40000, 80, SYN),
        second,
    )
}

/// What happened to a packet at the web server's endpoint, at a second since 1970.
pub fn event(kind: Kind, packet: &[u8], second: i64) -> PacketEvent {
    PacketEvent {
        time: second * SECOND,
        kind,
        direction: Direction::Ingress,
        endpoint_id: 11,
        source_identity: 0,
        destination_identity: 0,
        cookie: 0,
        is_reply: Some(false),
        ifindex: 7,
        length: 60,
        packet: Packet::new(packet),
    }
}

/// The first bytes of a TCP packet.
pub fn tcp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, flags: u8) -> Vec<u8> {
    let [f, t] = [from.to_be_bytes(), to.to_be_bytes()];
    let payload = [
        f[0], f[1], t[0], t[1], 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0,
    ];
    ipv4(6, source, destination, &payload)
}

/// The first bytes of a UDP packet.
pub fn udp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16) -> Vec<u8> {
    let [f, t] = [from.to_be_bytes(), to.to_be_bytes()];
    ipv4(
        17,
        source,
        destination,
        &[f[0], f[1], t[0], t[1], 0, 8, 0, 0],
    )
}

/// The first bytes of a packet with this payload.
pub fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, protocol, 0, 0,
    ];
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}
