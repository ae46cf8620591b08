//! ICMP errors about packets that were translated on their way to a backend of a service: who sent those knows the service only.

use datapath_abi::metric::EGRESS;
use datapath_abi::reason;
use datapath_abi::service::OUTSIDE;

use crate::frame::{Frame, SCTP, TCP, UDP, icmp, of, see, udp};
use crate::node::{NEIGHBOUR, NODE, Node, PASSED, POD, REDIRECTED, REMOTE, ROUTER, WORLD};
use crate::outcome::Outcome;

const VIP: (&str, u16) = ("10.96.0.10", 80);
const CLIENT: (&str, u16) = (POD, 40_000);
const LOOPBACK_IP: &str = "169.254.42.1";
const UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;
/// What every error quotes: the header and eight bytes. Of UDP the last two are a checksum that nobody looks at.
const QUOTE: usize = 28;

/// Sends a packet to a service, and answers what its backend gets.
fn ask(node: &mut Node, protocol: u8, backend: (&str, u16)) -> Vec<u8> {
    node.service(VIP, protocol, &[backend], 0);
    let there = node.run("from_container", &of(protocol, CLIENT, VIP));
    assert_eq!(
        see(&there.frame).destination,
        (backend.0.to_owned(), backend.1)
    );
    there.frame
}

fn error(from: &str, to: &str, kind: u8, about: &[u8]) -> Frame {
    icmp(from, to, kind, 0, &about[14..14 + QUOTE])
}

/// Asserts that an error comes from `from` and quotes a packet between these ends, every checksum right.
fn tells(outcome: &Outcome, from: &str, protocol: u8, [source, destination]: [(&str, u16); 2]) {
    let outer = see(&outcome.frame);
    assert_eq!(
        (outer.source.0.as_str(), outer.destination.0.as_str()),
        (from, source.0)
    );
    let quote = &outcome.frame[14 + 20 + 8..];
    let ttl = quote[8];
    let sent = Frame {
        ttl,
        ..of(protocol, source, destination)
    };
    assert_eq!(quote[..QUOTE - 2], sent.packet()[..QUOTE - 2]);
}

#[test]
fn an_error_about_a_packet_to_a_backend_is_told_as_the_services() {
    for protocol in [TCP, UDP, SCTP] {
        for kind in [UNREACHABLE, TIME_EXCEEDED] {
            let mut node = Node::new();
            let there = ask(&mut node, protocol, (NEIGHBOUR, 8080));
            node.speak_as(NEIGHBOUR);
            let told = node.run("from_container", &error(NEIGHBOUR, POD, kind, &there));
            assert_eq!(told.verdict, REDIRECTED);
            tells(&told, VIP.0, protocol, [CLIENT, VIP]);
        }
    }
}

#[test]
fn an_error_of_a_host_on_the_way_is_told_so_too() {
    for backend in [NEIGHBOUR, REMOTE, NODE] {
        let mut node = Node::new();
        let there = ask(&mut node, UDP, (backend, 8080));
        let told = node.run("from_host", &error(ROUTER, POD, UNREACHABLE, &there));
        assert_eq!(told.verdict, REDIRECTED);
        tells(&told, VIP.0, UDP, [CLIENT, VIP]);
    }
}

#[test]
fn a_pod_that_is_its_own_backend_hears_of_itself() {
    let mut node = Node::new();
    let there = ask(&mut node, UDP, (POD, 1053));
    let told = node.run(
        "from_container",
        &error(POD, LOOPBACK_IP, UNREACHABLE, &there),
    );
    assert_eq!(told.verdict, REDIRECTED);
    tells(&told, VIP.0, UDP, [CLIENT, VIP]);
}

#[test]
fn the_word_that_a_backend_is_gone_comes_from_the_service() {
    for protocol in [TCP, UDP, SCTP] {
        let mut node = Node::new();
        node.service(VIP, protocol, &[("10.244.1.99", 8080)], 0);
        let frame = of(protocol, CLIENT, VIP);
        let told = node.run("from_container", &frame);
        told.refused(&frame.bytes(), reason::UNKNOWN_TARGET, EGRESS);
        tells(&told, VIP.0, protocol, [CLIENT, VIP]);
    }
}

#[test]
fn a_client_outside_hears_of_it_as_well() {
    let client = (WORLD, 50_000);
    for (service, backend) in [
        ((NODE, 30_080), (NEIGHBOUR, 8080)),
        (("203.0.113.7", 80), (NEIGHBOUR, 8080)),
        (("203.0.113.7", 80), (NODE, 8443)),
    ] {
        let mut node = Node::new();
        node.service_for(OUTSIDE, service, UDP, &[backend], 0);
        let there = node.run("from_netdev", &udp(client, service));
        let left = error(backend.0, WORLD, UNREACHABLE, &there.frame);
        let told = node.run("to_netdev", &left);
        assert_eq!(told.verdict, PASSED);
        tells(&told, service.0, UDP, [client, service]);
    }
}

#[test]
fn an_error_about_nothing_that_was_translated_stays_as_it_is() {
    let mut node = Node::new();
    let there = ask(&mut node, UDP, (NEIGHBOUR, 8080));
    let direct = node.run("from_container", &udp((POD, 40_001), (NEIGHBOUR, 8080)));
    node.speak_as(NEIGHBOUR);
    let sent = error(NEIGHBOUR, POD, UNREACHABLE, &direct.frame);
    let told = node.run("from_container", &sent);
    assert_eq!(told.verdict, REDIRECTED);
    tells(&told, NEIGHBOUR, UDP, [(POD, 40_001), (NEIGHBOUR, 8080)]);
    let mut cut = error(NEIGHBOUR, POD, UNREACHABLE, &there);
    cut.l4.pop();
    let told = node.run("from_container", &cut);
    assert_eq!(see(&told.frame).source.0, NEIGHBOUR);
}
