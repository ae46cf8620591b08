//! Whoever is behind another device of a node, and sends as a pod.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use datapath::Direction;
use datapath_abi::reason;

use crate::cluster::{Cluster, Node, Pod};
use crate::namespace::Namespace;

const BRIDGE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const ITSELF: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

/// A container that something else than Kubernetes runs on the node, behind a bridge of its own.
fn stranger(node: &Node) -> Namespace {
    let stranger = Namespace::new();
    let thread = stranger.thread_id();
    for step in [
        "link add bridge type bridge".to_owned(),
        format!("link add port master bridge type veth peer name eth0 netns {thread}"),
        "link set port up".to_owned(),
        "link set bridge up".to_owned(),
        format!("addr add {BRIDGE}/24 dev bridge"),
    ] {
        node.namespace.ip(&step);
    }
    stranger.ip(&format!("addr add {ITSELF}/24 dev eth0"));
    stranger.ip("link set eth0 up");
    stranger.ip(&format!("route add default via {BRIDGE}"));
    stranger
}

/// Whether a datagram that the stranger sends under an address reaches a pod.
fn reaches(stranger: &Namespace, source: Ipv4Addr, pod: &Pod) -> bool {
    if source != ITSELF {
        stranger.ip(&format!("addr add {source}/32 dev eth0"));
    }
    let at = (pod.ip, 4053);
    let server = pod.namespace.run(move || UdpSocket::bind(at).unwrap());
    server
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    stranger.run(move || {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.send_to(b"?", at).unwrap();
    });
    let reached = server.recv(&mut [0; 8]).is_ok();
    if source != ITSELF {
        stranger.ip(&format!("addr del {source}/32 dev eth0"));
    }
    reached
}

#[test]
fn nobody_behind_another_device_of_the_node_speaks_for_a_pod() {
    for cluster in [Cluster::new, Cluster::native] {
        let cluster = cluster();
        let [node, other] = &cluster.nodes[..] else {
            panic!("two nodes")
        };
        let (near, neighbour, far) = (node.pod(10), node.pod(11), other.pod(20));
        let stranger = stranger(node);
        let nobody = Ipv4Addr::new(10, 244, 1, 99);
        for (source, target) in [
            (neighbour.ip, &near),
            (nobody, &near),
            (far.ip, &near),
            (neighbour.ip, &far),
            (nobody, &far),
        ] {
            let before = node.count(reason::INVALID_SOURCE_IP, Direction::Egress);
            assert!(
                !reaches(&stranger, source, target),
                "{source} {}",
                target.ip
            );
            let after = node.count(reason::INVALID_SOURCE_IP, Direction::Egress);
            assert_eq!(after, before + 1, "{source} {}", target.ip);
        }
        assert!(reaches(&stranger, ITSELF, &near));
    }
}
