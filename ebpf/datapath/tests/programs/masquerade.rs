use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::nat::{FIRST_PORT, LAST_PORT, REVERSE, Target, Tuple};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason;

use crate::frame::{Frame, icmp, see, seen, tcp, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NODE, Node, PASSED, POD, REDIRECTED, REMOTE, WORLD, address};
use crate::rules::any;

/// Sends a frame out and answers the address and port it left with.
fn leave(node: &mut Node, frame: &Frame) -> (String, u16) {
    let outcome = node.run("to_netdev", frame);
    assert_eq!(outcome.verdict, PASSED);
    assert_eq!(outcome.counted, [(reason::FORWARDED, EGRESS)]);
    see(&outcome.frame).source
}

#[test]
fn a_flow_leaves_as_the_node_and_its_answer_finds_the_pod() {
    let mut node = Node::new();
    for (there, back) in [
        (
            tcp as fn((&str, u16), (&str, u16)) -> Frame,
            tcp as fn((&str, u16), (&str, u16)) -> Frame,
        ),
        (udp, udp),
    ] {
        let (address, port) = leave(&mut node, &there((POD, 40_000), (WORLD, 443)));
        assert_eq!(address, NODE);
        assert!((FIRST_PORT..=LAST_PORT).contains(&port));
        let answer = node.run("from_netdev", &back((WORLD, 443), (NODE, port)));
        assert_eq!(answer.verdict, REDIRECTED);
        assert_eq!(see(&answer.frame), seen((WORLD, 443), (POD, 40_000), 63));
    }
}

#[test]
fn a_ping_leaves_as_the_node_and_its_answer_finds_the_pod() {
    let mut node = Node::new();
    let (address, id) = leave(&mut node, &icmp(POD, WORLD, 8, 77, b"hello"));
    assert_eq!(address, NODE);
    let answer = node.run("from_netdev", &icmp(WORLD, NODE, 0, id, b"hello"));
    assert_eq!(answer.verdict, REDIRECTED);
    assert_eq!(see(&answer.frame), seen((WORLD, 77), (POD, 77), 63));
}

#[test]
fn a_flow_keeps_its_port_and_two_flows_never_share_one() {
    let mut node = Node::new();
    let first = leave(&mut node, &tcp((POD, 40_000), (WORLD, 443)));
    assert_eq!(
        leave(&mut node, &tcp_flags((POD, 40_000), (WORLD, 443), 0x10)),
        first
    );
    let mut ports: Vec<u16> = (0..500)
        .map(|n| leave(&mut node, &tcp((POD, 41_000 + n), (WORLD, 443))).1)
        .collect();
    ports.push(first.1);
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 501);
}

#[test]
fn a_source_port_inside_the_range_is_kept() {
    let mut node = Node::new();
    assert_eq!(leave(&mut node, &udp((POD, 12_345), (WORLD, 53))).1, 12_345);
}

#[test]
fn a_flow_without_its_return_entry_gets_a_new_one() {
    let mut node = Node::new();
    let port = leave(&mut node, &udp((POD, 12_345), (WORLD, 53))).1;
    node.hash::<Tuple, Target>("cilium_snat")
        .remove(&answer_key(17, 53, port))
        .unwrap();
    assert_eq!(leave(&mut node, &udp((POD, 12_345), (WORLD, 53))).1, port);
    assert_eq!(
        node.run("from_netdev", &udp((WORLD, 53), (NODE, port)))
            .verdict,
        REDIRECTED
    );
}

fn answer_key(protocol: u8, from: u16, to: u16) -> Tuple {
    Tuple {
        source: address(WORLD),
        destination: address(NODE),
        source_port: from.to_be(),
        destination_port: to.to_be(),
        protocol,
        direction: REVERSE,
        pad: [0; 2],
    }
}

#[test]
fn no_free_port_is_said_and_other_flows_go_on() {
    let mut node = Node::new();
    let open = leave(&mut node, &tcp((POD, 39_999), (WORLD, 443)));
    let taken = Target {
        address: address("10.244.1.200"),
        port: 1,
        pad: [0; 2],
    };
    let mut flows = node.hash("cilium_snat");
    for port in FIRST_PORT..=LAST_PORT {
        if port != open.1 {
            flows.insert(answer_key(6, 443, port), taken, 0).unwrap();
        }
    }
    node.run("to_netdev", &tcp((POD, 40_000), (WORLD, 443)))
        .dropped(reason::NO_NAT_PORT, EGRESS);
    let known = tcp_flags((POD, 39_999), (WORLD, 443), 0x10);
    assert_eq!(leave(&mut node, &known), open);
    for other in [
        tcp((POD, 40_000), (WORLD, 444)),
        udp((POD, 40_000), (WORLD, 443)),
        tcp((POD, 40_000), ("198.51.100.8", 443)),
    ] {
        leave(&mut node, &other);
    }
}

#[test]
fn what_has_neither_ports_nor_is_an_echo_request_is_not_masqueraded() {
    let mut node = Node::new();
    let mut gre = tcp((POD, 1), (WORLD, 2));
    gre.protocol = 47;
    for frame in [gre, icmp(POD, WORLD, 3, 0, b"quote")] {
        node.run("to_netdev", &frame)
            .dropped(reason::NAT_PROTOCOL, EGRESS);
    }
}

#[test]
fn the_pod_network_and_the_hosts_own_packets_are_not_masqueraded() {
    let mut node = Node::new();
    for frame in [tcp((POD, 1), (REMOTE, 2)), tcp((NODE, 1), (WORLD, 2))] {
        let outcome = node.run("to_netdev", &frame);
        assert_eq!((outcome.verdict, outcome.frame), (PASSED, frame.bytes()));
    }
}

#[test]
fn what_answers_nothing_of_ours_is_the_hosts() {
    let mut node = Node::new();
    for frame in [
        tcp((WORLD, 443), (NODE, 12_345)),
        tcp((WORLD, 443), (NODE, 22)),
        udp((WORLD, 1), (NODE, 8472)),
        icmp(WORLD, NODE, 8, 1, b""),
        tcp((WORLD, 1), ("172.30.0.255", 2)),
    ] {
        let outcome = node.run("from_netdev", &frame);
        assert_eq!((outcome.verdict, outcome.counted), (PASSED, vec![]));
    }
}

#[test]
fn nobody_outside_speaks_for_a_pod() {
    let mut node = Node::new();
    for source in [POD, REMOTE] {
        for destination in [NODE, NEIGHBOUR] {
            node.run("from_netdev", &tcp((source, 1), (destination, 2)))
                .dropped(reason::INVALID_SOURCE_IP, INGRESS);
        }
        // The tunnel's port is the tunnel's at the node's address only.
        node.run("from_netdev", &udp((source, 1), (NEIGHBOUR, 8472)))
            .dropped(reason::INVALID_SOURCE_IP, INGRESS);
    }
}

#[test]
fn a_datagram_in_pieces_leaves_and_comes_back_in_pieces() {
    let mut node = Node::new();
    let piece = |frame: Frame, fragment: u16| Frame { fragment, ..frame };
    let out = |fragment| piece(udp((POD, 12_345), (WORLD, 53)), fragment);
    let back = |fragment| piece(udp((WORLD, 53), (NODE, 12_345)), fragment);
    for fragment in [0x2000, 0x2001, 0x0002] {
        let outcome = node.run("to_netdev", &out(fragment));
        assert_eq!(
            (outcome.verdict, see(&outcome.frame).source.0.as_str()),
            (PASSED, NODE),
            "{fragment:#x}"
        );
    }
    for fragment in [0x2000, 0x2001, 0x0002] {
        let outcome = node.run("from_netdev", &back(fragment));
        assert_eq!(
            (outcome.verdict, see(&outcome.frame).destination.0.as_str()),
            (REDIRECTED, POD),
            "{fragment:#x}"
        );
    }
}

#[test]
fn an_error_about_a_masqueraded_packet_reaches_the_pod_with_its_own_packet_quoted() {
    const FRAGMENTATION_NEEDED: u8 = 3;
    let mut node = Node::new();
    let left = node.run("to_netdev", &tcp((POD, 40_000), (WORLD, 443)));
    let quote = &left.frame[14..14 + 28];
    let outcome = node.run(
        "from_netdev",
        &icmp("192.0.2.1", NODE, FRAGMENTATION_NEEDED, 0, quote),
    );
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(see(&outcome.frame).destination.0, POD);
    // Outer Ethernet, IPv4 and ICMP headers come before the quote.
    let quoted = &outcome.frame[14 + 20 + 8..];
    let quoted_source = (
        &quoted[12..16],
        u16::from_be_bytes([quoted[20], quoted[21]]),
    );
    assert_eq!(quoted_source, ([10, 244, 1, 10].as_slice(), 40_000));
}

#[test]
fn an_error_from_outside_reaches_a_pod_that_takes_nothing_with_its_connection_only() {
    let mut node = Node::new();
    node.policy(9, &[any(EGRESS, ALLOW), any(INGRESS, DEFAULT_DENY)]);
    node.judge_by(POD, 9);
    let there = udp((POD, 40_000), (WORLD, 53));
    assert_eq!(node.run("from_container", &there).verdict, PASSED);
    let left = node.run("to_netdev", &there);
    let error = icmp("192.0.2.1", NODE, 3, 0, &left.frame[14..14 + 28]);
    node.takes_with_its_flow_only(&error);
}

#[test]
fn an_error_about_the_hosts_own_packet_is_the_hosts() {
    let mut node = Node::new();
    let quote = tcp((NODE, 40_000), (WORLD, 443)).packet();
    let outcome = node.run("from_netdev", &icmp("192.0.2.1", NODE, 3, 0, &quote[..28]));
    assert_eq!(outcome.verdict, PASSED);
}

#[test]
fn an_error_of_a_pod_about_an_answer_leaves_as_the_node_and_quotes_what_the_node_got() {
    let mut node = Node::new();
    let server = (WORLD, 53);
    let (_, port) = leave(&mut node, &udp((POD, 40_000), server));
    let answer = udp(server, (POD, 40_000)).packet();
    let outcome = node.run("to_netdev", &icmp(POD, WORLD, 3, 0, &answer[..28]));
    assert_eq!(outcome.verdict, PASSED);
    assert_eq!(see(&outcome.frame).source.0, NODE);
    let quoted = &outcome.frame[14 + 20 + 8..];
    let got = udp(server, (NODE, port)).packet();
    assert_eq!(quoted[..26], got[..26]);
}

#[test]
fn who_reached_a_pod_by_its_own_address_is_answered_from_it() {
    let mut node = Node::new();
    for (asked, answer) in [
        (udp((WORLD, 5000), (POD, 53)), udp((POD, 53), (WORLD, 5000))),
        (
            tcp((WORLD, 5001), (POD, 80)),
            tcp_flags((POD, 80), (WORLD, 5001), 0x12),
        ),
        (
            icmp(WORLD, POD, 8, 7, b"hello"),
            icmp(POD, WORLD, 0, 7, b"hello"),
        ),
    ] {
        assert_eq!(node.run_forwarded(&asked).verdict, REDIRECTED);
        assert_eq!(node.run("from_container", &answer).verdict, PASSED);
        let left = node.run("to_netdev", &answer);
        assert_eq!((left.verdict, left.frame), (PASSED, answer.bytes()));
    }
}

#[test]
fn a_flow_that_left_as_the_node_does_so_also_when_the_other_end_spoke_first_again() {
    let mut node = Node::new();
    let there = udp((POD, 40_000), (WORLD, 53));
    node.run("from_container", &there);
    let source = leave(&mut node, &there);
    let (key, _) = node.flow();
    node.flows().remove(&key).unwrap();
    let back = node.run("from_netdev", &udp((WORLD, 53), (NODE, source.1)));
    assert_eq!(back.verdict, REDIRECTED);
    assert_eq!(leave(&mut node, &there), source);
}
