use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, CLUSTER, DEFAULT_DENY, DENY, block_of_cluster, block_of_world};
use datapath_abi::reason::{NO_POLICY, POLICY_DENIED, POLICY_DENY};

use crate::frame::{Frame, ICMP, TCP, UDP, icmp, tcp, tcp_flags, udp};
use crate::node::{
    NEIGHBOUR, NEIGHBOUR_IDENTITY, NODE, Node, PASSED, POD, REDIRECTED, REMOTE, REMOTE_IDENTITY,
    ROUTER, WORLD, address,
};
use crate::rules::{Rule, any, peer};

const FROM: &str = "from_container";
const OWN: u32 = 9;

/// A node whose pod is judged by these rules.
fn judged(rules: &[Rule]) -> Node {
    let mut node = Node::new();
    node.policy(OWN, rules);
    node.judge_by(POD, OWN);
    node
}

fn denied(node: &mut Node, frame: &Frame) {
    node.run(FROM, frame).dropped(POLICY_DENIED, EGRESS);
}

fn deny_all() -> Rule {
    any(EGRESS, DEFAULT_DENY)
}

#[test]
fn a_pod_without_a_policy_is_cut_off_in_both_directions() {
    let mut node = Node::new();
    for policy in [0, 77] {
        node.judge_by(POD, policy);
        node.run(FROM, &tcp((POD, 1), (NEIGHBOUR, 80)))
            .dropped(NO_POLICY, EGRESS);
        node.run_forwarded(&tcp((WORLD, 1), (POD, 80)))
            .dropped(NO_POLICY, EGRESS);
    }
    node.judge_by(POD, 0);
    node.run("from_host", &tcp((ROUTER, 1), (POD, 80)))
        .dropped(NO_POLICY, EGRESS);
}

#[test]
fn a_policy_that_says_nothing_of_a_packet_lets_nothing_pass() {
    let mut node = judged(&[peer(NEIGHBOUR_IDENTITY, EGRESS, ALLOW)]);
    node.run(FROM, &tcp((POD, 1), (REMOTE, 80)))
        .dropped(NO_POLICY, EGRESS);
}

#[test]
fn an_identity_is_allowed_and_others_are_not() {
    let mut node = judged(&[deny_all(), peer(REMOTE_IDENTITY, EGRESS, ALLOW)]);
    assert_eq!(
        node.run(FROM, &tcp((POD, 1), (REMOTE, 80))).verdict,
        REDIRECTED
    );
    denied(&mut node, &tcp((POD, 1), (NEIGHBOUR, 80)));
    denied(&mut node, &tcp((POD, 1), (WORLD, 80)));
}

#[test]
fn the_receiver_on_this_node_is_asked_too() {
    let mut node = Node::new();
    node.policy(
        OWN,
        &[
            any(INGRESS, DEFAULT_DENY),
            any(EGRESS, ALLOW),
            peer(REMOTE_IDENTITY, INGRESS, ALLOW),
        ],
    );
    node.judge_by(NEIGHBOUR, OWN);
    denied(&mut node, &tcp((POD, 1), (NEIGHBOUR, 80)));
    node.run_forwarded(&tcp((WORLD, 1), (NEIGHBOUR, 80)))
        .dropped(POLICY_DENIED, EGRESS);
}

#[test]
fn the_cluster_is_everybody_but_the_world() {
    let mut node = judged(&[deny_all(), peer(CLUSTER, EGRESS, ALLOW)]);
    assert_eq!(
        node.run(FROM, &tcp((POD, 1), (REMOTE, 80))).verdict,
        REDIRECTED
    );
    assert_eq!(node.run(FROM, &tcp((POD, 1), (ROUTER, 80))).verdict, PASSED);
    denied(&mut node, &tcp((POD, 1), (WORLD, 80)));
}

#[test]
fn a_block_has_one_number_outside_the_cluster_and_one_inside() {
    for (number, of, target, other) in [
        (5, block_of_world as fn(u32) -> u32, WORLD, REMOTE),
        (6, block_of_cluster, REMOTE, WORLD),
    ] {
        let mut node = judged(&[deny_all(), peer(of(number), EGRESS, ALLOW)]);
        for (range, bits) in [(WORLD, 24), (REMOTE, 32)] {
            node.trie("cilium_blocks")
                .insert(
                    &aya::maps::lpm_trie::Key::new(96 + bits, address(range)),
                    number,
                    0,
                )
                .unwrap();
        }
        assert_ne!(
            node.run(FROM, &tcp((POD, 1), (target, 80))).verdict,
            crate::node::DROPPED
        );
        denied(&mut node, &tcp((POD, 1), (other, 80)));
    }
}

#[test]
fn a_deny_beats_an_allow_wherever_each_is_found() {
    let world = peer(2, EGRESS, ALLOW);
    let block = peer(block_of_world(5), EGRESS, DENY);
    for rules in [
        [any(EGRESS, ALLOW), peer(2, EGRESS, DENY)],
        [any(EGRESS, DENY), world],
        [world, block],
        [any(EGRESS, ALLOW), block],
    ] {
        let mut node = judged(&rules);
        node.trie("cilium_blocks")
            .insert(
                &aya::maps::lpm_trie::Key::new(96 + 24, address(WORLD)),
                5_u32,
                0,
            )
            .unwrap();
        println!("{rules:?}");
        node.run(FROM, &tcp((POD, 1), (WORLD, 80)))
            .dropped(POLICY_DENY, EGRESS);
    }
}

#[test]
fn protocol_and_port_count_with_ranges_of_ports() {
    let mut node = judged(&[
        deny_all(),
        any(EGRESS, ALLOW).range(TCP, 0x1f00, 8),
        any(EGRESS, ALLOW).range(UDP, 0, 0),
    ]);
    for port in [0x1f00, 0x1f90, 0x1fff] {
        assert_eq!(
            node.run(FROM, &tcp((POD, 1), (REMOTE, port))).verdict,
            REDIRECTED
        );
    }
    for port in [0x1eff, 0x2000, 80] {
        denied(&mut node, &tcp((POD, 1), (REMOTE, port)));
    }
    assert_eq!(
        node.run(FROM, &udp((POD, 1), (REMOTE, 80))).verdict,
        REDIRECTED
    );
    denied(&mut node, &icmp(POD, REMOTE, 8, 1, b""));
}

#[test]
fn an_icmp_type_stands_where_a_port_does() {
    let mut node = judged(&[deny_all(), any(EGRESS, ALLOW).on(ICMP, 8)]);
    assert_eq!(
        node.run(FROM, &icmp(POD, REMOTE, 8, 1, b"")).verdict,
        REDIRECTED
    );
    for icmp_type in [0, 3, 5, 13] {
        denied(&mut node, &icmp(POD, REMOTE, icmp_type, 2, b""));
    }
}

#[test]
fn sctp_has_ports_and_an_unknown_protocol_has_none() {
    let of = |protocol: u8, frame: Frame| Frame { protocol, ..frame };
    let mut node = judged(&[
        deny_all(),
        any(EGRESS, ALLOW).on(132, 80),
        any(EGRESS, ALLOW).on(TCP, 443),
        any(EGRESS, ALLOW).range(47, 0, 0),
    ]);
    for (frame, passes) in [
        (of(132, tcp((POD, 1), (REMOTE, 80))), true),
        (of(132, tcp((POD, 1), (REMOTE, 443))), false),
        (of(47, tcp((POD, 1), (REMOTE, 9))), true),
        (of(50, tcp((POD, 1), (REMOTE, 443))), false),
    ] {
        let verdict = node.run(FROM, &frame).verdict;
        assert_eq!(verdict == REDIRECTED, passes, "{}", frame.protocol);
    }
}

#[test]
fn a_service_is_judged_by_its_backend() {
    let mut node = judged(&[
        deny_all(),
        peer(NEIGHBOUR_IDENTITY, EGRESS, ALLOW).on(TCP, 8080),
    ]);
    node.service(("10.96.0.1", 80), TCP, &[(NEIGHBOUR, 8080)], 0);
    node.service(("10.96.0.2", 8080), TCP, &[(NEIGHBOUR, 80)], 0);
    assert_eq!(
        node.run(FROM, &tcp((POD, 1), ("10.96.0.1", 80))).verdict,
        REDIRECTED
    );
    denied(&mut node, &tcp((POD, 1), ("10.96.0.2", 8080)));
}

#[test]
fn a_pod_reaches_itself_whatever_its_policy_says() {
    let mut node = judged(&[deny_all(), any(INGRESS, DENY)]);
    node.service(("10.96.0.1", 80), TCP, &[(POD, 8080)], 0);
    assert_eq!(
        node.run(FROM, &tcp((POD, 1), ("10.96.0.1", 80))).verdict,
        REDIRECTED
    );
    let answer = tcp((POD, 8080), ("169.254.42.1", 1));
    assert_eq!(node.run(FROM, &answer).verdict, REDIRECTED);
    assert_eq!(
        node.run(FROM, &tcp((POD, 1), (POD, 80))).verdict,
        REDIRECTED
    );
}

#[test]
fn no_policy_keeps_the_host_from_its_pods_and_answers_to_it_pass() {
    let mut node = judged(&[
        any(INGRESS, DENY),
        peer(CLUSTER, INGRESS, DENY),
        peer(1, INGRESS, DENY),
        any(EGRESS, DENY),
    ]);
    for (host, port) in [(ROUTER, 1), (NODE, 2), ("192.168.7.7", 3)] {
        let probe = tcp((host, port), (POD, 80));
        assert_eq!(node.run("from_host", &probe).verdict, REDIRECTED);
        node.new_epoch();
        let answer = tcp_flags((POD, 80), (host, port), 0x12);
        assert_eq!(node.run(FROM, &answer).verdict, PASSED, "{host}");
        node.new_epoch();
        assert_eq!(node.run("from_host", &probe).verdict, REDIRECTED);
    }
    node.run(FROM, &tcp((POD, 1), (ROUTER, 80)))
        .dropped(POLICY_DENY, EGRESS);
}

#[test]
fn nobody_becomes_the_host_by_its_address() {
    let mut node = judged(&[any(INGRESS, ALLOW), any(EGRESS, ALLOW)]);
    let forged = udp((NODE, 1), (POD, 53));
    assert_eq!(node.run_forwarded(&forged).verdict, REDIRECTED);
    node.policy(OWN, &[any(INGRESS, DEFAULT_DENY), any(EGRESS, ALLOW)]);
    node.new_epoch();
    denied(&mut node, &udp((POD, 53), (NODE, 1)));
    node.run_forwarded(&forged).dropped(POLICY_DENIED, EGRESS);
}

#[test]
fn only_what_was_made_on_the_host_comes_from_the_host() {
    let mut node = judged(&[any(INGRESS, DEFAULT_DENY), any(EGRESS, ALLOW)]);
    assert_eq!(
        node.run("from_host", &tcp((ROUTER, 1), (POD, 80))).verdict,
        REDIRECTED
    );
    for source in [WORLD, REMOTE, ROUTER] {
        node.run_forwarded(&tcp((source, 2), (POD, 80)))
            .dropped(POLICY_DENIED, EGRESS);
    }
}
