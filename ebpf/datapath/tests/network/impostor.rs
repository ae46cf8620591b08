//! A pod with a raw socket, which puts onto its link what it likes (security test 6).

use std::fs;
use std::net::Ipv4Addr;

use datapath::Direction;
use datapath_abi::reason::{
    FORWARDED, INVALID_SOURCE_IP, INVALID_SOURCE_MAC, UNSUPPORTED_L2, UNSUPPORTED_L3,
};

use crate::cluster::{Cluster, Node, Pod};
use crate::ownership::{checksum, tunnel_packet};
use crate::traffic::{Ear, ping, send_frame};

type Mac = [u8; 6];

/// A cluster with a pod that sends, a neighbour and one on the other node.
fn three_pods() -> (Cluster, [Pod; 3]) {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let pods = [node.pod(10), node.pod(20), other.pod(30)];
    // Its own stack would send IPv6 as well, and be counted; where there is no such file it knows none.
    let quiet = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
    let quieten = move || fs::write(quiet, "1");
    drop(pods[0].namespace.run(quieten));
    (cluster, pods)
}

fn dropped(node: &Node, reason: u8) -> u64 {
    node.count(reason, Direction::Egress)
}

/// An echo request in a frame.
fn request((from, to): (Mac, Mac), source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    // The inner frame of a tunnel packet is one, but for its Ethernet addresses.
    let inner = &tunnel_packet(source, destination)[8 + 12..];
    [&to[..], &from, inner].concat()
}

#[test]
fn a_pod_that_sends_under_another_address_is_heard_by_nobody() {
    let (cluster, [pod, neighbour, remote]) = three_pods();
    let node = &cluster.nodes[0];
    let (own, router) = (pod.endpoint.mac.0, pod.endpoint.host_mac.0);
    let foreign = neighbour.endpoint.mac.0;
    let nobody = Ipv4Addr::new(10, 244, 1, 99);
    for target in [&neighbour, &remote] {
        let ear = Ear::at(target);
        let addresses = [
            neighbour.ip,
            remote.ip,
            nobody,
            node.config.router_ip,
            node.config.node_ip,
            Ipv4Addr::new(198, 51, 100, 7),
        ];
        let other_ip = addresses.map(|source| (own, source, INVALID_SOURCE_IP));
        let other_mac = [foreign, router].map(|mac| (mac, pod.ip, INVALID_SOURCE_MAC));
        for (mac, source, why) in other_ip.into_iter().chain(other_mac) {
            let before = dropped(node, why);
            send_frame(&pod.namespace, request((mac, router), source, target.ip));
            assert_eq!(dropped(node, why), before + 1, "{mac:02x?} {source}");
            assert_eq!(ear.heard().len(), 0, "{mac:02x?} {source}");
        }
        send_frame(&pod.namespace, request((own, router), pod.ip, target.ip));
        assert_eq!(ear.heard().len(), 1, "under its own it is heard");
    }
}

/// ARP over the whole link: `operation` is 1 for a question, 2 for an answer.
fn arp(operation: u8, (mac, ip): (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let mut frame = [[0xff; 6], mac].concat();
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

#[test]
fn a_pod_that_answers_arp_for_others_takes_nothing_from_them() {
    let (cluster, [pod, neighbour, remote]) = three_pods();
    let node = &cluster.nodes[0];
    let own = pod.endpoint.mac.0;
    let router = node.config.router_ip;
    let others = [neighbour.ip, remote.ip, router, node.config.node_ip];
    for ip in others {
        for target in others {
            let before = dropped(node, INVALID_SOURCE_IP);
            for operation in [1, 2] {
                send_frame(&pod.namespace, arp(operation, (own, ip), target));
            }
            assert_eq!(
                dropped(node, INVALID_SOURCE_IP),
                before + 2,
                "{ip} {target}"
            );
        }
    }
    let forged = arp(2, (neighbour.endpoint.mac.0, pod.ip), router);
    send_frame(&pod.namespace, forged);
    assert_eq!(dropped(node, INVALID_SOURCE_MAC), 1);
    send_frame(&pod.namespace, arp(1, (own, pod.ip), neighbour.ip));
    assert_eq!(dropped(node, UNSUPPORTED_L2), 1);
    let known = node.namespace.ip("neigh show");
    let taken = |ip: &Ipv4Addr| {
        known
            .lines()
            .any(|line| line.starts_with(&format!("{ip} ")))
    };
    assert!(!others.iter().any(taken), "{known}");
    assert!(ping(&neighbour.namespace, remote.ip, 0));
}

/// "I am your router, and this is your network" (RFC 4861 4.2), from an address of the link.
fn router_advertisement(mac: Mac) -> Vec<u8> {
    const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const SELF: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66];
    let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    // Its network: 2001:db8::/64, on this link, for addresses of one's own.
    message.extend([
        3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0,
    ]);
    message.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let length = u8::try_from(message.len()).unwrap();
    let summed = [
        &SELF[..],
        &ALL_NODES,
        &[0, 0, 0, length, 0, 0, 0, 58],
        &message,
    ]
    .concat();
    message[2..4].copy_from_slice(&checksum(&summed));
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 58, 255]);
    frame.extend([&SELF[..], &ALL_NODES, &message].concat());
    frame
}

#[test]
fn a_pod_that_names_itself_a_router_of_ipv6_is_believed_by_nobody() {
    let (cluster, [pod, neighbour, _]) = three_pods();
    let node = &cluster.nodes[0];
    let before = dropped(node, UNSUPPORTED_L3);
    send_frame(&pod.namespace, router_advertisement(pod.endpoint.mac.0));
    assert_eq!(dropped(node, UNSUPPORTED_L3), before + 1);
    assert_eq!(dropped(node, FORWARDED), 0);
    for namespace in [&node.namespace, &neighbour.namespace] {
        let routes = namespace.ip("-6 route show");
        assert!(!routes.contains("2001:db8"), "{routes}");
    }
}
