//! Who may send what through the tunnel (security tests 4 and 5).

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use datapath::{Datapath, Direction, Error, Node as NodeEntry};
use datapath_abi::reason;

use crate::cluster::{Cluster, Node, TUNNEL_PORT};
use crate::namespace::Namespace;
use crate::traffic::{ping, send_frame};

/// A VXLAN packet with an arbitrary VNI around an ICMP echo request.
pub(crate) fn tunnel_packet(inner_source: Ipv4Addr, inner_destination: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x08, 0, 0, 0, 0, 0x03, 0xe8, 0];
    packet.extend([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x08, 0x00]);
    let mut header = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0];
    header.extend(inner_source.octets());
    header.extend(inner_destination.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    packet.extend(header);
    packet.extend([8, 0]);
    packet.extend((!0x0801_u16).to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet
}

/// Of the internet's protocols (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 2] {
    let pairs = bytes
        .chunks(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let sum: u32 = pairs.map(u32::from).sum();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    (!folded).to_be_bytes()
}

pub(crate) fn send(from: &Namespace, to: Ipv4Addr, packet: Vec<u8>) {
    from.run(move || {
        UdpSocket::bind("0.0.0.0:0")
            .unwrap()
            .send_to(&packet, (to, TUNNEL_PORT))
            .unwrap();
    });
    sleep(Duration::from_millis(50));
}

pub(crate) fn refused(node: &Node, reason: u8) -> u64 {
    node.count(reason, Direction::Ingress)
}

#[test]
fn only_a_node_sends_tunnel_packets_and_only_from_itself_and_its_own_pods() {
    let cluster = Cluster::new();
    let [sender, receiver] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let target = receiver.pod(20);
    let (theirs, to) = (Ipv4Addr::new(10, 244, 1, 10), receiver.config.node_ip);

    send(&cluster.outside, to, tunnel_packet(theirs, target.ip));
    assert_eq!(refused(receiver, reason::UNKNOWN_SENDER), 1);

    for foreign in [
        Ipv4Addr::new(10, 244, 2, 30),
        Ipv4Addr::new(10, 244, 7, 1),
        Ipv4Addr::new(198, 51, 100, 7),
        receiver.config.node_ip,
    ] {
        let before = refused(receiver, reason::INVALID_SOURCE_IP);
        send(&sender.namespace, to, tunnel_packet(foreign, target.ip));
        assert_eq!(
            refused(receiver, reason::INVALID_SOURCE_IP),
            before + 1,
            "{foreign}"
        );
    }

    for own in [theirs, sender.config.node_ip] {
        let before = refused(receiver, reason::FORWARDED);
        send(&sender.namespace, to, tunnel_packet(own, target.ip));
        assert_eq!(refused(receiver, reason::FORWARDED), before + 1, "{own}");
    }

    send(
        &sender.namespace,
        to,
        tunnel_packet(theirs, Ipv4Addr::new(10, 244, 2, 99)),
    );
    send(&sender.namespace, to, tunnel_packet(theirs, to));
    assert_eq!(refused(receiver, reason::UNKNOWN_TARGET), 2);
}

#[test]
fn a_node_that_is_removed_no_longer_sends() {
    let cluster = Cluster::new();
    let [sender, receiver] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (client, target) = (sender.pod(10), receiver.pod(20));
    assert!(ping(&client.namespace, target.ip, 0));
    let gone = sender.config.node_ip;
    receiver.datapath(move |datapath| datapath.remove_node(gone).unwrap());
    assert!(!ping(&client.namespace, target.ip, 0));
    assert_eq!(refused(receiver, reason::UNKNOWN_SENDER), 1);
}

#[test]
fn a_pod_that_forges_tunnel_packets_is_dropped_and_counted() {
    let cluster = Cluster::new();
    let [sender, receiver] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (attacker, target) = (sender.pod(10), receiver.pod(20));
    let forged = tunnel_packet(Ipv4Addr::new(10, 244, 1, 99), target.ip);
    let before = refused(receiver, reason::FORWARDED);
    for node in [
        sender.config.node_ip,
        receiver.config.node_ip,
        sender.config.router_ip,
    ] {
        send(&attacker.namespace, node, forged.clone());
    }
    assert_eq!(
        sender.count(reason::ENCAPSULATION_PROHIBITED, Direction::Egress),
        3
    );
    assert_eq!(refused(receiver, reason::FORWARDED), before);
}

#[test]
fn a_range_stays_with_its_owner_when_another_node_claims_it() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let thief = Ipv4Addr::new(172, 30, 9, 66);
    for range in [
        other.config.pod_cidr,
        node.config.pod_cidr,
        "10.244.0.0/16".parse().unwrap(),
    ] {
        let claim = NodeEntry {
            ip: thief,
            pod_cidrs: vec![range],
        };
        let error = node
            .datapath(move |datapath| datapath.upsert_node(&claim))
            .unwrap_err();
        assert!(matches!(error, Error::RangeTaken { .. }), "{error}");
    }
    let (client, target) = (node.pod(10), other.pod(20));
    assert!(ping(&client.namespace, target.ip, 0));
}

#[test]
fn a_pod_cannot_use_a_vlan() {
    const TAG: [u8; 4] = [0x81, 0x00, 0x00, 0x05];
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (pod, target) = (node.pod(10), node.pod(20));
    // The inner frame of a tunnel packet is a ping from one pod to another.
    let ping = &tunnel_packet(pod.ip, target.ip)[8..];
    let macs = [pod.endpoint.host_mac.0, pod.endpoint.mac.0].concat();
    send_frame(&pod.namespace, [&macs, &ping[12..]].concat());
    assert_eq!(node.count(reason::VLAN, Direction::Egress), 0);
    send_frame(&pod.namespace, [&macs, &TAG[..], &ping[12..]].concat());
    assert_eq!(node.count(reason::VLAN, Direction::Egress), 1);
}

#[test]
fn an_outside_host_cannot_speak_for_a_pod_without_a_tunnel_either() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let target = node.pod(20);
    cluster.outside.ip("addr add 10.244.2.66/32 dev lo");
    cluster.outside.ip(&format!(
        "route add {} via {} src 10.244.2.66",
        target.ip, node.config.node_ip
    ));
    assert!(!ping(&cluster.outside, target.ip, 0));
    assert_eq!(refused(node, reason::INVALID_SOURCE_IP), 1);
}
