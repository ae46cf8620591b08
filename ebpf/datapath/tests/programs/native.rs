//! Packets between nodes without a tunnel.

use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY, DENY};
use datapath_abi::reason;

use crate::frame::{Frame, UDP, see, seen, tcp, tcp_flags, udp};
use crate::node::{
    NEIGHBOUR, NODE, Node, OTHER_MAC, OTHER_NODE, PASSED, POD, REDIRECTED, REMOTE, REMOTE_IDENTITY,
    ROUTER, WORLD, address,
};
use crate::rules::{any, peer};
use crate::shared;

fn native() -> Node {
    let mut node = Node::on(shared::take_native());
    node.hash("cilium_nodes")
        .insert(address(OTHER_NODE), 1_u32, 0)
        .unwrap();
    node
}

#[test]
fn a_packet_for_a_pod_of_another_node_goes_as_it_is_and_counts_a_hop() {
    let outcome = native().run("from_container", &tcp((POD, 1), (REMOTE, 80)));
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(see(&outcome.frame), seen((POD, 1), (REMOTE, 80), 63));
    assert_eq!(outcome.counted, [(reason::FORWARDED, EGRESS)]);
    let last_hop = Frame {
        ttl: 1,
        ..tcp((POD, 1), (REMOTE, 80))
    };
    native()
        .run("from_container", &last_hop)
        .dropped(reason::TTL_EXCEEDED, EGRESS);
}

#[test]
fn pods_and_hosts_of_other_nodes_reach_a_pod() {
    let mut node = native();
    for source in [REMOTE, OTHER_NODE] {
        let outcome = node.run("from_netdev", &tcp((source, 1), (NEIGHBOUR, 80)));
        assert_eq!(outcome.verdict, REDIRECTED, "{source}");
        assert_eq!(see(&outcome.frame), seen((source, 1), (NEIGHBOUR, 80), 63));
        assert_eq!(outcome.frame[..6], OTHER_MAC);
        assert_eq!(outcome.counted, [(reason::FORWARDED, INGRESS)]);
    }
}

#[test]
fn the_policy_of_the_pod_judges_the_identity_of_the_source_address() {
    let mut node = native();
    let denied = [
        any(INGRESS, ALLOW),
        any(EGRESS, ALLOW),
        peer(REMOTE_IDENTITY, INGRESS, DENY),
    ];
    node.policy(9, &denied);
    node.judge_by(NEIGHBOUR, 9);
    node.run("from_netdev", &tcp((REMOTE, 1), (NEIGHBOUR, 80)))
        .dropped(reason::POLICY_DENY, INGRESS);
    let other = node.run("from_netdev", &tcp((OTHER_NODE, 1), (NEIGHBOUR, 80)));
    assert_eq!(other.verdict, REDIRECTED);
}

#[test]
fn an_answer_passes_with_its_connection() {
    let mut node = native();
    node.policy(9, &[any(EGRESS, ALLOW), any(INGRESS, DEFAULT_DENY)]);
    node.judge_by(POD, 9);
    let answer = tcp_flags((REMOTE, 80), (POD, 1), 0x12);
    node.run("from_netdev", &answer)
        .dropped(reason::POLICY_DENIED, INGRESS);
    node.run("from_container", &tcp((POD, 1), (REMOTE, 80)));
    assert_eq!(node.run("from_netdev", &answer).verdict, REDIRECTED);
}

#[test]
fn later_pieces_of_a_datagram_share_the_fate_of_the_first() {
    let mut node = native();
    let opened = peer(REMOTE_IDENTITY, INGRESS, ALLOW).on(UDP, 53);
    node.policy(9, &[any(INGRESS, DEFAULT_DENY), opened]);
    node.judge_by(NEIGHBOUR, 9);
    let piece = |fragment| Frame {
        fragment,
        ..udp((REMOTE, 4000), (NEIGHBOUR, 53))
    };
    node.run("from_netdev", &piece(0x2001))
        .dropped(reason::FRAGMENT_NOT_FOUND, INGRESS);
    for fragment in [0x2000, 0x2001, 0x0002] {
        let outcome = node.run("from_netdev", &piece(fragment));
        assert_eq!(outcome.verdict, REDIRECTED, "{fragment:#x}");
    }
}

#[test]
fn nobody_on_the_network_speaks_for_this_nodes_pods() {
    let mut node = native();
    for source in [POD, ROUTER] {
        for destination in [NODE, NEIGHBOUR] {
            node.run("from_netdev", &tcp((source, 1), (destination, 2)))
                .dropped(reason::INVALID_SOURCE_IP, INGRESS);
            // Not even as if it were a packet of the tunnel that is not there.
            node.run("from_netdev", &udp((source, 1), (destination, 8472)))
                .dropped(reason::INVALID_SOURCE_IP, INGRESS);
        }
    }
}

#[test]
fn pods_of_other_nodes_do_not_come_by_a_device_that_is_on_another_network() {
    let mut node = Node::on(shared::take_aside());
    for destination in [NODE, NEIGHBOUR] {
        node.run("from_netdev", &tcp((REMOTE, 1), (destination, 80)))
            .dropped(reason::INVALID_SOURCE_IP, INGRESS);
    }
}

#[test]
fn a_pod_that_is_gone_is_told_of_to_nodes_and_pods_only() {
    const GONE: &str = "10.244.1.99";
    let mut node = native();
    for source in [REMOTE, OTHER_NODE] {
        let frame = udp((source, 1), (GONE, 80));
        node.run("from_netdev", &frame)
            .refused(&frame.bytes(), reason::UNKNOWN_TARGET, INGRESS);
    }
    let outcome = node.run("from_netdev", &udp((WORLD, 1), (GONE, 80)));
    assert_eq!((outcome.verdict, outcome.counted), (PASSED, vec![]));
}

#[test]
fn what_is_for_the_host_goes_to_the_host() {
    let mut node = native();
    for (source, destination) in [(REMOTE, NODE), (REMOTE, ROUTER), (OTHER_NODE, ROUTER)] {
        let frame = tcp((source, 1), (destination, 4240));
        let outcome = node.run("from_netdev", &frame);
        assert_eq!((outcome.verdict, outcome.frame), (PASSED, frame.bytes()));
    }
}

#[test]
fn pods_keep_their_address_towards_pods_and_nodes_and_nobody_else() {
    let mut node = native();
    for destination in [REMOTE, OTHER_NODE] {
        let frame = tcp((POD, 1), (destination, 80));
        let outcome = node.run("to_netdev", &frame);
        assert_eq!((outcome.verdict, outcome.frame), (PASSED, frame.bytes()));
    }
    let outcome = node.run("to_netdev", &tcp((POD, 1), (WORLD, 80)));
    assert_eq!(see(&outcome.frame).source.0, NODE);
}

#[test]
fn no_packet_for_another_node_leaves_by_way_of_the_hosts_device() {
    native()
        .run("from_host", &tcp((ROUTER, 1), (REMOTE, 80)))
        .dropped(reason::UNKNOWN_TARGET, EGRESS);
}
