//! SCTP: `see` counts the checksum of every packet that comes out anew, over all of it.

use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::nat::{FIRST_PORT, LAST_PORT};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason;
use datapath_abi::service::{INSIDE, OUTSIDE};

use crate::frame::{Frame, SCTP, icmp, sctp, see, seen};
use crate::node::{
    DROPPED, NEIGHBOUR, NODE, Node, OTHER_NODE, PASSED, POD, REDIRECTED, REMOTE, ROUTER, WORLD,
};
use crate::rules::any;

type End = (&'static str, u16);

const VIP: &str = "10.96.0.10";
const SERVICE: End = (VIP, 3868);
const CLIENT: End = (POD, 40_000);
const NODE_PORT: End = (NODE, 30_868);
const OUTSIDER: End = (WORLD, 50_000);

const DATA: u8 = 0;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
/// What an INIT says first (RFC 9260 3.3.2).
const INITIATE_TAG: &[u8] = b"mine";

fn init(source: End, destination: End) -> Frame {
    let rest = [0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1];
    sctp(source, destination, 1, &[INITIATE_TAG, &rest].concat())
}

fn init_ack(source: End, destination: End) -> Frame {
    sctp(source, destination, 2, &[3; 60])
}

/// DATA with that much payload behind the twelve bytes of its own header.
fn data(source: End, destination: End, payload: usize) -> Frame {
    let value: Vec<u8> = (0..=255).cycle().take(12 + payload).collect();
    sctp(source, destination, DATA, &value)
}

fn piece(frame: Frame, fragment: u16) -> Frame {
    Frame { fragment, ..frame }
}

#[test]
fn an_association_with_a_service_goes_to_its_endpoint_and_the_answers_come_from_the_service() {
    for port in [3868, 3900] {
        let mut node = Node::new();
        let backend = (NEIGHBOUR, port);
        node.service(SERVICE, SCTP, &[backend], 0);
        for (there, back) in [
            (init(CLIENT, SERVICE), init_ack(backend, CLIENT)),
            (data(CLIENT, SERVICE, 333), data(backend, CLIENT, 1)),
        ] {
            let there = node.run("from_container", &there);
            assert_eq!(there.verdict, REDIRECTED);
            assert_eq!(see(&there.frame), seen(CLIENT, backend, 63));
            let back = node.run("from_host", &back);
            assert_eq!(back.verdict, REDIRECTED);
            assert_eq!(see(&back.frame), seen(SERVICE, CLIENT, 64));
        }
    }
}

#[test]
fn the_checksum_follows_the_packet_whatever_its_length_and_not_what_lies_behind_it() {
    let mut node = Node::new();
    node.service(SERVICE, SCTP, &[(NEIGHBOUR, 3900)], 0);
    let options = Frame {
        options: vec![1; 8],
        ..data(CLIENT, SERVICE, 100)
    };
    let outcome = node.run("from_container", &options);
    let l4 = &outcome.frame[14 + 28..];
    let stated = u32::from_le_bytes(l4[8..12].try_into().unwrap());
    assert_eq!(stated, crate::frame::sctp_checksum(l4));
    for payload in [0, 1, 2, 3, 4, 100, 228, 484, 996, 1423, 1424] {
        let mut bytes = data(CLIENT, SERVICE, payload).bytes();
        bytes.extend([0xaa; 7]);
        let outcome = node.run_bytes("from_container", &bytes);
        assert_eq!(
            see(&outcome.frame),
            seen(CLIENT, (NEIGHBOUR, 3900), 63),
            "{payload}"
        );
    }
}

#[test]
fn a_pod_that_is_its_own_endpoint_gets_its_answers() {
    let mut node = Node::new();
    let shown = ("169.254.42.1", 40_000);
    node.service(SERVICE, SCTP, &[(POD, 3900)], 0);
    let there = node.run("from_container", &init(CLIENT, SERVICE));
    assert_eq!(see(&there.frame), seen(shown, (POD, 3900), 63));
    let back = node.run("from_container", &init_ack((POD, 3900), shown));
    assert_eq!(back.verdict, REDIRECTED);
    assert_eq!(see(&back.frame), seen(SERVICE, CLIENT, 63));
}

/// Where a packet for the service goes.
fn endpoint(node: &mut Node, frame: &Frame) -> (String, u16) {
    see(&node.run("from_container", frame).frame).destination
}

#[test]
fn an_open_association_stays_with_its_endpoint_when_the_service_changes_and_a_new_one_does_not() {
    let mut node = Node::new();
    node.service(SERVICE, SCTP, &[(NEIGHBOUR, 3900)], 0);
    endpoint(&mut node, &init(CLIENT, SERVICE));
    node.service(SERVICE, SCTP, &[(REMOTE, 3901)], 0);
    for known in [
        data(CLIENT, SERVICE, 8),
        sctp(CLIENT, SERVICE, COOKIE_ECHO, b"cookie"),
    ] {
        let at = endpoint(&mut node, &known);
        assert_eq!(at, (NEIGHBOUR.to_owned(), 3900));
    }
    let anew = endpoint(&mut node, &init(CLIENT, SERVICE));
    assert_eq!(anew, (REMOTE.to_owned(), 3901));
}

#[test]
fn an_init_that_is_sent_again_reaches_whoever_made_the_first_cookie() {
    let mut node = Node::new();
    let backends: Vec<End> = (1..=9).map(|port| (NEIGHBOUR, port)).collect();
    node.service(SERVICE, SCTP, &backends, 0);
    let first = endpoint(&mut node, &init(CLIENT, SERVICE));
    for _ in 0..30 {
        assert_eq!(endpoint(&mut node, &init(CLIENT, SERVICE)), first);
    }
    let others = (1..100).map(|n| endpoint(&mut node, &init((POD, 40_000 + n), SERVICE)));
    assert!(others.collect::<Vec<_>>().iter().any(|one| *one != first));
}

#[test]
fn a_client_with_affinity_stays_with_one_endpoint() {
    let mut node = Node::new();
    let backends = [(NEIGHBOUR, 1), (NEIGHBOUR, 2), (REMOTE, 3)];
    node.service(SERVICE, SCTP, &backends, 3600);
    let mut found: Vec<_> = (0..30)
        .map(|n| endpoint(&mut node, &init((POD, 40_000 + n), SERVICE)))
        .collect();
    found.dedup();
    assert_eq!(found.len(), 1);
}

#[test]
fn an_association_straight_to_an_endpoint_is_not_taken_for_an_old_one_through_the_service() {
    let mut node = Node::new();
    let backend = (NEIGHBOUR, 3868);
    node.service(SERVICE, SCTP, &[backend], 0);
    node.run("from_container", &init(CLIENT, SERVICE));
    let mut answer_to = |straight: &Frame| {
        node.speak_as(POD);
        node.run("from_container", straight);
        node.speak_as(NEIGHBOUR);
        see(&node.run("from_container", &init_ack(backend, CLIENT)).frame)
    };
    let old = data(CLIENT, backend, 8);
    assert_eq!(answer_to(&old), seen(SERVICE, CLIENT, 63));
    let new = init(CLIENT, backend);
    assert_eq!(answer_to(&new), seen(backend, CLIENT, 63));
}

#[test]
fn who_opens_where_nobody_answers_is_told_with_the_tag_it_knows_its_packet_by() {
    let mut node = Node::new();
    node.service(SERVICE, SCTP, &[], 0);
    for question in [init(CLIENT, SERVICE), data(CLIENT, (VIP, 9), 40)] {
        let asked = question.bytes();
        let told = node.run("from_container", &question);
        told.refused(&asked, reason::NO_BACKEND, EGRESS);
        let quoted = &told.frame[14 + 20 + 8..];
        assert_eq!(quoted, &asked[14..14 + 40]);
    }
    let asked = init(CLIENT, SERVICE).bytes();
    assert_eq!(&asked[14 + 36..14 + 40], INITIATE_TAG);
    let short = sctp(CLIENT, SERVICE, COOKIE_ACK, b"");
    node.run("from_container", &short)
        .dropped(reason::NO_BACKEND, EGRESS);
}

#[test]
fn a_checksum_that_is_not_there_yet_stays_away_and_a_wrong_one_stays_wrong() {
    let mut node = Node::new();
    node.service(SERVICE, SCTP, &[(NEIGHBOUR, 3900)], 0);
    let checksum = 14 + 20 + 8;
    let mut run = |stated: [u8; 4]| {
        let mut bytes = data(CLIENT, SERVICE, 40).bytes();
        let right = bytes[checksum..checksum + 4].to_vec();
        bytes[checksum..checksum + 4].copy_from_slice(&stated);
        let mut out = node.run_bytes("from_container", &bytes).frame;
        let moved = out[checksum..checksum + 4].to_vec();
        let l4 = &out[14 + 20..];
        assert_eq!(l4[2..4], 3900_u16.to_be_bytes());
        let now_right = crate::frame::sctp_checksum(l4).to_le_bytes();
        out[checksum..checksum + 4].copy_from_slice(&now_right);
        see(&out);
        (right, moved, now_right)
    };
    let (_, moved, _) = run([0; 4]);
    assert_eq!(moved, [0; 4]);
    let wrong = *b"oops";
    let (right, moved, now_right) = run(wrong);
    for byte in 0..4 {
        let (before, after) = (wrong[byte] ^ right[byte], moved[byte] ^ now_right[byte]);
        assert_eq!(before, after, "the same error as before");
    }
}

#[test]
fn a_piece_of_a_packet_is_not_for_a_service_and_comes_from_none_whose_port_is_another() {
    for (port, passes) in [(3868, true), (3900, false)] {
        let mut node = Node::new();
        let backend = (NEIGHBOUR, port);
        node.service(SERVICE, SCTP, &[backend], 0);
        let asks = piece(data(CLIENT, SERVICE, 100), 0x2000);
        node.run("from_container", &asks)
            .dropped(reason::FRAGMENT, EGRESS);
        node.run("from_container", &init(CLIENT, SERVICE));
        let answer = |fragment| piece(data(backend, CLIENT, 100), fragment);
        let first = node.run("from_host", &answer(0x2000));
        if passes {
            assert_eq!(see(&first.frame), seen(SERVICE, CLIENT, 64));
        } else {
            first.dropped(reason::FRAGMENT, EGRESS);
        }
    }
}

/// Sends a frame out and answers the address and port it left with.
fn leave(node: &mut Node, frame: &Frame) -> (String, u16) {
    let outcome = node.run("to_netdev", frame);
    assert_eq!(outcome.verdict, PASSED);
    see(&outcome.frame).source
}

#[test]
fn associations_leave_as_the_node_each_with_a_port_of_its_own_and_their_answers_find_the_pod() {
    let mut node = Node::new();
    let server = (WORLD, 3868);
    let mut ports = Vec::new();
    for client in (0..100).map(|n| (POD, 40_000 + n)) {
        let (address, port) = leave(&mut node, &init(client, server));
        assert_eq!(address, NODE);
        assert!((FIRST_PORT..=LAST_PORT).contains(&port));
        assert_eq!(leave(&mut node, &data(client, server, 500)).1, port);
        let answer = node.run("from_netdev", &init_ack(server, (NODE, port)));
        assert_eq!(answer.verdict, REDIRECTED);
        assert_eq!(see(&answer.frame), seen(server, client, 63));
        ports.push(port);
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 100);
}

#[test]
fn a_packet_in_pieces_leaves_only_with_the_port_it_has() {
    let mut node = Node::new();
    let from = |port| move |fragment| piece(data((POD, port), (WORLD, 3868), 80), fragment);
    let kept = from(12_345);
    for fragment in [0x2000, 0x2002, 0x0004] {
        let outcome = node.run("to_netdev", &kept(fragment));
        assert_eq!(see(&outcome.frame).source.0, NODE, "{fragment:#x}");
    }
    node.run("to_netdev", &from(40_000)(0x2000))
        .dropped(reason::FRAGMENT, EGRESS);
}

#[test]
fn an_error_about_a_packet_that_left_reaches_the_pod_with_its_own_packet_quoted() {
    let mut node = Node::new();
    let left = node.run("to_netdev", &data(CLIENT, (WORLD, 3868), 100));
    let error = icmp("192.0.2.1", NODE, 3, 0, &left.frame[14..14 + 28]);
    let outcome = node.run("from_netdev", &error);
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(see(&outcome.frame).destination.0, POD);
    let quoted = &outcome.frame[14 + 20 + 8..];
    assert_eq!(quoted[12..16], [10, 244, 1, 10]);
    assert_eq!(quoted[20..22], 40_000_u16.to_be_bytes());
}

#[test]
fn an_outsider_reaches_an_endpoint_here_as_itself_and_is_answered_from_the_node_port() {
    for port in [30_868, 3900] {
        let mut node = Node::new();
        let backend = (NEIGHBOUR, port);
        node.service_for(OUTSIDE, NODE_PORT, SCTP, &[backend], 0);
        for (there, back) in [
            (init(OUTSIDER, NODE_PORT), init_ack(backend, OUTSIDER)),
            (data(OUTSIDER, NODE_PORT, 9), data(backend, OUTSIDER, 700)),
        ] {
            let there = node.run("from_netdev", &there);
            assert_eq!(there.verdict, REDIRECTED);
            assert_eq!(see(&there.frame), seen(OUTSIDER, backend, 63));
            let back = node.run("to_netdev", &back);
            assert_eq!(back.verdict, PASSED);
            assert_eq!(see(&back.frame), seen(NODE_PORT, OUTSIDER, 64));
        }
    }
}

#[test]
fn an_outsider_reaches_the_node_itself_behind_another_port_and_is_answered_from_the_node_port() {
    let mut node = Node::new();
    node.service_for(OUTSIDE, NODE_PORT, SCTP, &[(NODE, 3900)], 0);
    let there = node.run("from_netdev", &init(OUTSIDER, NODE_PORT));
    assert_eq!(there.verdict, PASSED);
    assert_eq!(see(&there.frame), seen(OUTSIDER, (NODE, 3900), 64));
    let back = node.run("to_netdev", &init_ack((NODE, 3900), OUTSIDER));
    assert_eq!(see(&back.frame), seen(NODE_PORT, OUTSIDER, 64));
}

#[test]
fn an_outsider_reaches_an_endpoint_elsewhere_as_the_node_with_one_port_per_association() {
    let mut node = Node::new();
    node.service_for(OUTSIDE, NODE_PORT, SCTP, &[(REMOTE, 3900)], 0);
    let mut source = |frame: &Frame| {
        let outcome = node.run("from_netdev", frame);
        assert_eq!(outcome.verdict, REDIRECTED);
        let seen = see(&outcome.frame);
        assert_eq!(seen.destination, (REMOTE.to_owned(), 3900));
        assert_eq!(seen.source.0, ROUTER);
        seen.source.1
    };
    let first = source(&init(OUTSIDER, NODE_PORT));
    assert_eq!(source(&data(OUTSIDER, NODE_PORT, 77)), first);
    assert_ne!(source(&init((WORLD, 50_001), NODE_PORT)), first);
}

#[test]
fn an_outsider_is_told_when_nobody_answers_and_not_served_in_pieces() {
    let mut node = Node::new();
    node.service_for(OUTSIDE, NODE_PORT, SCTP, &[], 0);
    let asks = init(OUTSIDER, NODE_PORT);
    node.run("from_netdev", &asks)
        .refused(&asks.bytes(), reason::NO_BACKEND, INGRESS);
    node.run("from_netdev", &piece(asks, 0x2000))
        .dropped(reason::FRAGMENT, INGRESS);
    // Of another protocol the port is the host's.
    let mut other = init(OUTSIDER, NODE_PORT);
    other.protocol = 47;
    assert_eq!(node.run("from_netdev", &other).verdict, PASSED);
    node.service_for(INSIDE, (OTHER_NODE, 1), SCTP, &[], 0);
    let inside_only = init(OUTSIDER, (OTHER_NODE, 1));
    assert_eq!(node.run("from_netdev", &inside_only).verdict, PASSED);
}

#[test]
fn the_end_that_answers_cannot_open() {
    let mut node = Node::new();
    node.policy(9, &[any(EGRESS, ALLOW), any(INGRESS, DEFAULT_DENY)]);
    node.judge_by(POD, 9);
    let server = (NEIGHBOUR, 3868);
    let mut from = |pod: &str, frame: &Frame| {
        node.speak_as(pod);
        node.run("from_container", frame).verdict
    };
    assert_eq!(from(POD, &init(CLIENT, server)), REDIRECTED);
    assert_eq!(from(NEIGHBOUR, &init_ack(server, CLIENT)), REDIRECTED);
    assert_eq!(from(NEIGHBOUR, &init(server, CLIENT)), DROPPED);
    assert_eq!(from(NEIGHBOUR, &data(server, CLIENT, 8)), REDIRECTED);
}
