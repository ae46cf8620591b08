//! By which device a packet came: who may speak for a pod, and who merely says so.

use datapath_abi::metric::EGRESS;
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason::INVALID_SOURCE_IP;

use crate::frame::{Frame, see, tcp, udp};
use crate::node::{
    LOOPBACK, NEIGHBOUR, NODE, Node, PASSED, POD, POD_IDENTITY, REDIRECTED, REMOTE, ROUTER, WORLD,
};
use crate::rules::{any, peer};
use crate::shared;

/// A bridge of other containers, say.
const STRANGE: u32 = 7;
const GONE: &str = "10.244.1.99";

fn forged(node: &mut Node, program: &str, frame: &Frame) {
    node.run_arrived(program, STRANGE, &frame.bytes())
        .dropped(INVALID_SOURCE_IP, EGRESS);
}

#[test]
fn no_device_of_the_node_brings_packets_of_a_pod_but_its_own_link() {
    let mut node = Node::new();
    for source in [POD, NEIGHBOUR, GONE] {
        for destination in [POD, NEIGHBOUR, REMOTE] {
            forged(&mut node, "from_host", &tcp((source, 1), (destination, 80)));
        }
    }
    // The link of the first pod is no other pod's.
    node.run_forwarded(&tcp((NEIGHBOUR, 1), (POD, 80)))
        .dropped(INVALID_SOURCE_IP, EGRESS);
    for destination in [NEIGHBOUR, REMOTE] {
        let sent = node.run_forwarded(&tcp((POD, 1), (destination, 80)));
        assert_eq!(sent.verdict, REDIRECTED, "{destination}");
    }
}

#[test]
fn a_packet_in_a_known_connection_is_asked_for_its_device_as_well() {
    let mut node = Node::new();
    let there = udp((POD, 4000), (NEIGHBOUR, 53));
    assert_eq!(node.run("from_container", &there).verdict, REDIRECTED);
    forged(&mut node, "from_host", &there);
    forged(&mut node, "from_host", &udp((NEIGHBOUR, 53), (POD, 4000)));
    assert_eq!(node.flow().1.packets, [1, 0]);
}

#[test]
fn a_pod_that_comes_by_the_stack_is_judged_as_that_pod() {
    let mut node = Node::new();
    let friends = peer(POD_IDENTITY, datapath_abi::metric::INGRESS, ALLOW);
    node.policy(
        9,
        &[any(datapath_abi::metric::INGRESS, DEFAULT_DENY), friends],
    );
    node.judge_by(NEIGHBOUR, 9);
    let sent = node.run_forwarded(&tcp((POD, 1), (NEIGHBOUR, 80)));
    assert_eq!(sent.verdict, REDIRECTED);
    node.policy(10, &[any(EGRESS, DEFAULT_DENY)]);
    node.judge_by(POD, 10);
    node.speak_as(POD);
    node.run_forwarded(&tcp((POD, 2), (NEIGHBOUR, 80)))
        .dropped(datapath_abi::reason::POLICY_DENIED, EGRESS);
}

#[test]
fn pods_of_other_nodes_come_by_what_carries_them_only() {
    let mut node = Node::new();
    forged(&mut node, "from_host", &tcp((REMOTE, 1), (POD, 80)));
    let carried = node.run_forwarded(&tcp((REMOTE, 1), (POD, 80)));
    assert_eq!(carried.verdict, REDIRECTED);
    let mut native = Node::on(shared::take_native());
    forged(&mut native, "from_host", &tcp((REMOTE, 1), (POD, 80)));
    let carried = native.run_forwarded(&tcp((REMOTE, 1), (POD, 80)));
    assert_eq!(carried.verdict, REDIRECTED);
}

#[test]
fn whoever_else_is_behind_a_device_of_the_node_reaches_pods_as_itself() {
    let mut node = Node::new();
    for source in [WORLD, ROUTER] {
        let frame = tcp((source, 1), (POD, 80)).bytes();
        let outcome = node.run_arrived("from_host", STRANGE, &frame);
        assert_eq!(outcome.verdict, REDIRECTED, "{source}");
    }
}

#[test]
fn nobody_leaves_the_node_as_a_pod_but_that_pod_and_the_host() {
    for mut node in [Node::new(), Node::on(shared::take_native())] {
        for destination in [REMOTE, WORLD] {
            let frame = tcp((POD, 1), (destination, 80));
            forged(&mut node, "to_netdev", &frame);
            let own = node.run_arrived("to_netdev", LOOPBACK, &frame.bytes());
            assert_eq!(own.verdict, PASSED, "{destination}");
            assert_eq!(node.run("to_netdev", &frame).verdict, PASSED);
        }
        let router = tcp((ROUTER, 1), (WORLD, 80)).bytes();
        let outcome = node.run_arrived("to_netdev", STRANGE, &router);
        assert_eq!(outcome.verdict, PASSED);
        assert_eq!(see(&outcome.frame).source.0, NODE);
    }
}

/// Over the network of the nodes no such source comes in: it is the node's own word about a pod that is gone.
#[test]
fn the_node_answers_other_nodes_for_a_pod_that_is_gone() {
    let mut native = Node::on(shared::take_native());
    let answer = udp((GONE, 80), (REMOTE, 1)).bytes();
    let outcome = native.run_arrived("to_netdev", LOOPBACK, &answer);
    assert_eq!(outcome.verdict, PASSED);
}
