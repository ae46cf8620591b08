//! ICMP errors from outside about answers of services: routers send them, and they are for the endpoints that answered.

use datapath_abi::metric::INGRESS;
use datapath_abi::nat::{REVERSE, Target, Tuple};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason;
use datapath_abi::service::{INSIDE, OUTSIDE};

use crate::frame::{Frame, SCTP, TCP, UDP, icmp, ip, of, see, tcp, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NODE, Node, PASSED, POD, REDIRECTED, REMOTE, ROUTER, WORLD};
use crate::rules::any;

const CLIENT: (&str, u16) = (WORLD, 50_000);
const HOP: &str = "192.0.2.1";
const NODE_PORT: (&str, u16) = (NODE, 30_080);
const EXTERNAL: (&str, u16) = ("203.0.113.7", 80);
const UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER: u8 = 12;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
/// What every router quotes: the header and eight bytes.
const QUOTE: usize = 28;
const ICMP_HEADER: usize = 8;

/// A node at which the client's connection was opened, and how the backend sees the client.
fn asked(service: (&str, u16), protocol: u8, backend: (&str, u16)) -> (Node, (String, u16)) {
    let mut node = Node::new();
    node.service_for(OUTSIDE, service, protocol, &[backend], 0);
    let there = node.run("from_netdev", &of(protocol, CLIENT, service));
    let there = see(&there.frame);
    assert_eq!(there.destination, (backend.0.to_owned(), backend.1));
    (node, there.source)
}

/// An error of a router about a packet that it was to pass on.
fn error(kind: u8, about: &Frame) -> Frame {
    let to = about.source.to_string();
    icmp(HOP, &to, kind, 0, &about.packet()[..QUOTE])
}

/// The packet that an error quotes, whose own checksums are right.
fn quoted(frame: &[u8]) -> &[u8] {
    see(frame);
    &frame[14 + 20 + ICMP_HEADER..]
}

/// A quote but for what nobody looks at in it: of UDP the checksum.
fn without_checksum(quote: &[u8]) -> &[u8] {
    &quote[..QUOTE - 2]
}

#[test]
fn an_error_about_an_answer_reaches_the_endpoint_of_the_node_with_its_own_packet_quoted() {
    for (service, protocol) in [
        (NODE_PORT, TCP),
        (NODE_PORT, UDP),
        (NODE_PORT, SCTP),
        (EXTERNAL, TCP),
        (EXTERNAL, UDP),
    ] {
        let backend = (NEIGHBOUR, 8080);
        let (mut node, client) = asked(service, protocol, backend);
        assert_eq!(client, (WORLD.to_owned(), 50_000));
        for kind in [UNREACHABLE, TIME_EXCEEDED, PARAMETER] {
            let outcome = node.run("from_netdev", &error(kind, &of(protocol, service, CLIENT)));
            assert_eq!(outcome.verdict, REDIRECTED, "{service:?} {protocol} {kind}");
            assert_eq!(outcome.counted, [(reason::FORWARDED, INGRESS)]);
            let header = see(&outcome.frame);
            assert_eq!((header.source.0.as_str(), header.ttl), (HOP, 63));
            assert_eq!(header.destination.0, NEIGHBOUR);
            assert_eq!(outcome.frame[14 + 20], kind);
            let answer = of(protocol, backend, CLIENT).packet();
            let quote = quoted(&outcome.frame);
            assert_eq!(without_checksum(quote), &answer[..QUOTE - 2]);
        }
    }
}

#[test]
fn an_error_about_an_answer_goes_to_an_endpoint_elsewhere_as_the_connection_does() {
    for (service, protocol) in [(NODE_PORT, TCP), (NODE_PORT, UDP), (EXTERNAL, SCTP)] {
        let backend = (REMOTE, 8080);
        let (mut node, (stand_in, port)) = asked(service, protocol, backend);
        assert_eq!(stand_in, ROUTER);
        let about = of(protocol, service, CLIENT);
        let outcome = node.run("from_netdev", &error(UNREACHABLE, &about));
        assert_eq!(outcome.verdict, REDIRECTED, "{service:?} {protocol}");
        let header = see(&outcome.frame);
        assert_eq!((header.source.0.as_str(), header.ttl), (ROUTER, 63));
        assert_eq!(header.destination.0, REMOTE);
        let answer = of(protocol, backend, (ROUTER, port)).packet();
        let quote = quoted(&outcome.frame);
        assert_eq!(without_checksum(quote), &answer[..QUOTE - 2]);
    }
}

#[test]
fn an_error_about_an_answer_of_the_node_itself_is_left_to_it_with_its_own_packet_quoted() {
    let (mut node, _) = asked(EXTERNAL, TCP, (NODE, 8443));
    let about = tcp(EXTERNAL, CLIENT);
    let outcome = node.run("from_netdev", &error(UNREACHABLE, &about));
    assert_eq!(outcome.verdict, PASSED);
    assert_eq!(see(&outcome.frame).destination.0, NODE);
    let answer = tcp((NODE, 8443), CLIENT).packet();
    assert_eq!(quoted(&outcome.frame), &answer[..QUOTE]);
}

/// Asserts that a frame is left as it is, for the host.
fn is_the_hosts(node: &mut Node, frame: &Frame) {
    let outcome = node.run("from_netdev", frame);
    assert_eq!((outcome.verdict, outcome.counted), (PASSED, vec![]));
    assert!(outcome.frame == frame.bytes(), "{:02x?}", outcome.frame);
}

#[test]
fn an_error_that_quotes_a_connection_nobody_has_changes_nothing() {
    for (service, backend) in [
        (NODE_PORT, NEIGHBOUR),
        (NODE_PORT, REMOTE),
        (EXTERNAL, NEIGHBOUR),
    ] {
        let (mut node, _) = asked(service, TCP, (backend, 8080));
        let mut later = tcp(service, CLIENT);
        later.fragment = 0x0003;
        for about in [
            tcp(service, (WORLD, 50_001)),
            tcp(service, ("198.51.100.8", 50_000)),
            tcp((service.0, service.1 + 1), CLIENT),
            udp(service, CLIENT),
            later,
        ] {
            is_the_hosts(&mut node, &error(UNREACHABLE, &about));
        }
        let known = error(UNREACHABLE, &tcp(service, CLIENT));
        let elsewhere = Frame {
            destination: ip("198.51.100.9"),
            ..known.clone()
        };
        is_the_hosts(&mut node, &elsewhere);
        let mut no_error = known.clone();
        no_error.l4[0] = 13;
        is_the_hosts(&mut node, &no_error);
        let mut cut = known.clone();
        let last = cut.l4.pop().unwrap();
        is_the_hosts(&mut node, &cut);
        // What lies behind a packet is not quoted in it.
        let padded = [cut.bytes(), vec![last]].concat();
        let outcome = node.run_bytes("from_netdev", &padded);
        assert_eq!((outcome.verdict, outcome.frame), (PASSED, padded));
        let mut piece = known.clone();
        piece.fragment = 0x2000;
        is_the_hosts(&mut node, &piece);
        assert_eq!(node.run("from_netdev", &known).verdict, REDIRECTED);
    }
}

#[test]
fn an_error_about_a_connection_whose_stand_in_is_forgotten_changes_nothing() {
    let (mut node, _) = asked(NODE_PORT, TCP, (REMOTE, 8080));
    let mut flows = node.hash::<Tuple, Target>("cilium_snat");
    let all: Vec<_> = flows.keys().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 2);
    for key in all {
        flows.remove(&key).unwrap();
    }
    is_the_hosts(&mut node, &error(UNREACHABLE, &tcp(NODE_PORT, CLIENT)));
}

#[test]
fn nobody_outside_sends_errors_about_what_pods_ask() {
    let mut node = Node::new();
    let inside = ("172.20.0.10", 80);
    node.service_for(INSIDE, inside, TCP, &[(NEIGHBOUR, 8080)], 0);
    let there = node.run("from_container", &tcp((POD, 40_000), inside));
    assert_eq!(see(&there.frame).destination.0, NEIGHBOUR);
    let about = tcp(inside, (POD, 40_000));
    is_the_hosts(&mut node, &error(UNREACHABLE, &about));
}

#[test]
fn an_error_about_an_answer_passes_with_its_connection_only() {
    let mut node = Node::new();
    let opened = any(INGRESS, ALLOW).on(TCP, 8080);
    node.policy(9, &[any(INGRESS, DEFAULT_DENY), opened]);
    node.judge_by(NEIGHBOUR, 9);
    node.service_for(OUTSIDE, NODE_PORT, TCP, &[(NEIGHBOUR, 8080)], 0);
    node.run("from_netdev", &tcp(CLIENT, NODE_PORT));
    let error = error(UNREACHABLE, &tcp_flags(NODE_PORT, CLIENT, SYN_ACK));
    node.takes_with_its_flow_only(&error);
}

#[test]
fn an_error_at_its_last_hop_ends_here() {
    for backend in [NEIGHBOUR, REMOTE] {
        let (mut node, _) = asked(NODE_PORT, TCP, (backend, 8080));
        let last = Frame {
            ttl: 1,
            ..error(UNREACHABLE, &tcp(NODE_PORT, CLIENT))
        };
        node.run("from_netdev", &last)
            .dropped(reason::TTL_EXCEEDED, INGRESS);
    }
}

/// The answer to the first may have been lost, or late; with two answers a client ends the connection.
#[test]
fn a_syn_that_is_sent_again_reaches_whoever_answered_the_first() {
    let mut node = Node::new();
    let backends: Vec<_> = (1..=9).map(|port| (NEIGHBOUR, port)).collect();
    node.service_for(OUTSIDE, NODE_PORT, TCP, &backends, 0);
    let syn = tcp(CLIENT, NODE_PORT);
    let mut asked = || see(&node.run("from_netdev", &syn).frame).destination;
    let unanswered: Vec<_> = (0..30).map(|_| asked()).collect();
    assert!(
        unanswered.iter().any(|one| *one != unanswered[0]),
        "who does not answer is given up"
    );
    let last = asked();
    node.speak_as(NEIGHBOUR);
    node.run(
        "from_container",
        &tcp_flags((NEIGHBOUR, last.1), CLIENT, SYN_ACK),
    );
    for _ in 0..30 {
        assert_eq!(see(&node.run("from_netdev", &syn).frame).destination, last);
    }
    // Gone from the service, it is asked no more.
    node.service_for(OUTSIDE, NODE_PORT, TCP, &[(NEIGHBOUR, 10)], 0);
    let other = see(&node.run("from_netdev", &syn).frame).destination;
    assert_eq!(other, (NEIGHBOUR.to_owned(), 10));
}

#[test]
fn an_answer_leaves_with_the_services_address_again_once_the_client_goes_on() {
    let backend = (NEIGHBOUR, 8080);
    let (mut node, _) = asked(NODE_PORT, TCP, backend);
    let answer = tcp_flags(backend, CLIENT, ACK);
    let mut known = node.hash::<Tuple, Target>("cilium_ct_service");
    let lost: Vec<_> = (known.keys().map(Result::unwrap))
        .filter(|tuple| tuple.direction == REVERSE)
        .collect();
    assert_eq!(lost.len(), 1);
    known.remove(&lost[0]).unwrap();
    node.run("from_netdev", &tcp_flags(CLIENT, NODE_PORT, ACK));
    let left = node.run("to_netdev", &answer);
    assert_eq!(see(&left.frame).source, (NODE.to_owned(), NODE_PORT.1));
}
