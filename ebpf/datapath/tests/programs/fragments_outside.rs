//! Datagrams in pieces from outside the cluster.

use datapath_abi::metric::INGRESS;
use datapath_abi::reason::{FRAGMENT_NOT_FOUND, NO_BACKEND};
use datapath_abi::service::{Frontend, OUTSIDE, Service};

use crate::frame::{Frame, TCP, UDP, ip, see, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NODE, Node, PASSED, REDIRECTED, REMOTE, ROUTER, WORLD, address};
use crate::outcome::Outcome;

const FROM: &str = "from_netdev";
const CLIENT: (&str, u16) = (WORLD, 50_000);
const NODE_PORT: (&str, u16) = (NODE, 30_053);
const EXTERNAL: (&str, u16) = ("203.0.113.7", 53);
const FIRST: u16 = 0x2000;
/// Behind the header of TCP, which no later piece may reach into; the first of them is not the last.
const LATER: [u16; 2] = [0x2003, 0x0006];
const ACK: u8 = 0x10;

fn piece(destination: (&str, u16), fragment: u16) -> Frame {
    Frame {
        fragment,
        ..udp(CLIENT, destination)
    }
}

fn node(service: (&str, u16), protocol: u8, backends: &[(&str, u16)]) -> Node {
    let mut node = Node::new();
    node.service_for(OUTSIDE, service, protocol, backends, 0);
    node
}

fn addresses(outcome: &Outcome) -> (String, String) {
    let seen = see(&outcome.frame);
    (seen.source.0, seen.destination.0)
}

/// Asserts that a frame is left as it is, for the host.
fn is_the_hosts(node: &mut Node, frame: &Frame) {
    let outcome = node.run(FROM, frame);
    assert_eq!((outcome.verdict, outcome.counted), (PASSED, vec![]));
    assert!(outcome.frame == frame.bytes(), "{:02x?}", outcome.frame);
}

#[test]
fn later_pieces_from_outside_follow_the_first_to_where_its_service_answers() {
    for (backend, sees, verdict) in [
        (NEIGHBOUR, WORLD, REDIRECTED),
        (REMOTE, ROUTER, REDIRECTED),
        (NODE, WORLD, PASSED),
    ] {
        for service in [NODE_PORT, EXTERNAL] {
            let mut node = node(service, UDP, &[(backend, 1053)]);
            for fragment in [FIRST, LATER[0], LATER[1]] {
                let outcome = node.run(FROM, &piece(service, fragment));
                assert_eq!(outcome.verdict, verdict, "{backend} {fragment:#x}");
                let ends = (sees.to_owned(), backend.to_owned());
                assert_eq!(addresses(&outcome), ends, "{fragment:#x}");
                let payload = &outcome.frame[14 + 20..];
                if fragment == FIRST {
                    assert_eq!(payload[2..4], 1053_u16.to_be_bytes());
                } else {
                    assert_eq!(payload, udp(CLIENT, service).l4);
                }
            }
        }
    }
}

#[test]
fn pieces_of_a_tcp_segment_go_where_their_connection_went() {
    for backend in [NEIGHBOUR, REMOTE] {
        let mut node = node(NODE_PORT, TCP, &[(backend, 8080)]);
        let of = |flags, fragment| Frame {
            fragment,
            ..tcp_flags(CLIENT, NODE_PORT, flags)
        };
        let open = addresses(&node.run(FROM, &of(0x02, 0)));
        assert_eq!(open.1, backend);
        for fragment in [FIRST, LATER[0], LATER[1]] {
            assert_eq!(addresses(&node.run(FROM, &of(ACK, fragment))), open);
        }
    }
}

#[test]
fn a_later_piece_without_its_first_is_dropped_and_at_the_nodes_own_address_left_to_the_host() {
    let mut node = node(EXTERNAL, UDP, &[(NEIGHBOUR, 1053)]);
    node.service_for(OUTSIDE, NODE_PORT, UDP, &[(NEIGHBOUR, 1053)], 0);
    for fragment in LATER {
        node.run(FROM, &piece(EXTERNAL, fragment))
            .dropped(FRAGMENT_NOT_FOUND, INGRESS);
        is_the_hosts(&mut node, &piece(NODE_PORT, fragment));
        is_the_hosts(&mut node, &piece(("172.30.0.255", 53), fragment));
    }
}

#[test]
fn a_piece_of_another_source_identification_or_protocol_is_not_believed() {
    for service in [NODE_PORT, EXTERNAL] {
        let mut node = node(service, UDP, &[(NEIGHBOUR, 1053)]);
        let first = node.run(FROM, &piece(service, FIRST));
        assert_eq!(first.verdict, REDIRECTED);
        let later = piece(service, LATER[0]);
        let forged = Frame {
            source: ip("198.51.100.8"),
            ..later.clone()
        };
        let protocol = Frame {
            protocol: TCP,
            ..later.clone()
        };
        let mut identification = later.bytes();
        identification[14 + 4] ^= 1;
        for bytes in [forged.bytes(), protocol.bytes(), identification] {
            let outcome = node.run_bytes(FROM, &bytes);
            if service == EXTERNAL {
                outcome.dropped(FRAGMENT_NOT_FOUND, INGRESS);
            } else {
                assert_eq!((outcome.verdict, outcome.frame), (PASSED, bytes));
            }
        }
        assert_eq!(node.run(FROM, &later).verdict, REDIRECTED);
    }
}

#[test]
fn the_hosts_own_datagrams_stay_whole_beside_those_of_services() {
    for service in [NODE_PORT, EXTERNAL] {
        let mut node = node(service, UDP, &[(NEIGHBOUR, 1053)]);
        let hosts = (service.0, 9000);
        // Another datagram had the same identification before.
        node.run(FROM, &piece(service, FIRST));
        for fragment in [FIRST, LATER[0], LATER[1]] {
            is_the_hosts(&mut node, &piece(hosts, fragment));
        }
    }
}

#[test]
fn what_the_tunnel_carries_in_pieces_is_not_taken_for_a_services() {
    let mut node = node(NODE_PORT, UDP, &[(NEIGHBOUR, 1053)]);
    node.run(FROM, &piece(NODE_PORT, FIRST));
    is_the_hosts(&mut node, &piece((NODE, 8472), FIRST));
    for fragment in LATER {
        let mut later = piece((NODE, 8472), fragment);
        later.l4 = b"somewhere in it".to_vec();
        is_the_hosts(&mut node, &later);
    }
}

#[test]
fn later_pieces_are_lost_with_a_first_that_nobody_took() {
    let mut node = node(EXTERNAL, UDP, &[(NEIGHBOUR, 1053)]);
    assert_eq!(node.run(FROM, &piece(EXTERNAL, FIRST)).verdict, REDIRECTED);
    // The service changes between the pieces, and has nobody for the next datagram.
    let key = Frontend {
        address: address(EXTERNAL.0),
        port: EXTERNAL.1.to_be(),
        protocol: UDP,
        scope: OUTSIDE,
    };
    let mut services = node.hash::<Frontend, Service>("cilium_lb4_services");
    let old = services.get(&key, 0).unwrap();
    let empty = Service {
        generation: 99,
        count: 0,
        ..old
    };
    services.insert(key, empty, 0).unwrap();
    node.run(FROM, &piece(EXTERNAL, LATER[0]))
        .dropped(FRAGMENT_NOT_FOUND, INGRESS);
    node.run(FROM, &piece(EXTERNAL, FIRST))
        .dropped(NO_BACKEND, INGRESS);
    node.run(FROM, &piece(EXTERNAL, LATER[0]))
        .dropped(FRAGMENT_NOT_FOUND, INGRESS);
}

#[test]
fn a_host_answers_for_a_service_in_pieces_too() {
    let backend = (NODE, 1053);
    let mut node = node(EXTERNAL, UDP, &[backend]);
    node.run(FROM, &udp(CLIENT, EXTERNAL));
    let answer = |from, fragment| Frame {
        fragment,
        ..udp(from, CLIENT)
    };
    for fragment in [FIRST, LATER[0], LATER[1]] {
        let outcome = node.run("to_netdev", &answer(backend, fragment));
        assert_eq!(outcome.verdict, PASSED);
        let ends = (EXTERNAL.0.to_owned(), WORLD.to_owned());
        assert_eq!(addresses(&outcome), ends, "{fragment:#x}");
    }
}
