use datapath_abi::metric::EGRESS;
use datapath_abi::reason;

use crate::frame::{icmp, ip, see, seen, tcp, udp};
use crate::node::{
    NEIGHBOUR, NODE, Node, OTHER_HOST_MAC, OTHER_MAC, OTHER_NODE, PASSED, POD, POD_MAC, REDIRECTED,
    REMOTE, ROUTER, WORLD,
};

const PROGRAM: &str = "from_container";

#[test]
fn a_neighbour_gets_the_packet_with_its_own_addresses_and_one_hop_less() {
    let mut node = Node::new();
    let outcome = node.run(PROGRAM, &tcp((POD, 40_000), (NEIGHBOUR, 80)));
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(
        see(&outcome.frame),
        seen((POD, 40_000), (NEIGHBOUR, 80), 63)
    );
    assert_eq!(outcome.frame[..6], OTHER_MAC);
    assert_eq!(outcome.frame[6..12], OTHER_HOST_MAC);
    assert_eq!(outcome.counted, [(reason::FORWARDED, EGRESS)]);
}

#[test]
fn a_pod_of_another_node_gets_the_packet_as_it_is_through_the_tunnel() {
    let mut node = Node::new();
    let frame = udp((POD, 40_000), (REMOTE, 53));
    let outcome = node.run(PROGRAM, &frame);
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(outcome.frame, frame.bytes());
}

#[test]
fn the_host_and_the_world_are_left_to_the_stack() {
    let mut node = Node::new();
    for destination in [NODE, ROUTER, OTHER_NODE, WORLD] {
        let outcome = node.run(PROGRAM, &icmp(POD, destination, 8, 7, b"ping"));
        assert_eq!(outcome.verdict, PASSED, "{destination}");
        assert_eq!(outcome.counted, [(reason::FORWARDED, EGRESS)]);
    }
}

#[test]
fn a_device_without_an_endpoint_may_send_nothing() {
    let mut node = Node::new();
    node.hash::<u32, datapath_abi::endpoint::Source>("cilium_lxc_source")
        .remove(&1)
        .unwrap();
    node.run(PROGRAM, &tcp((POD, 1), (NEIGHBOUR, 80)))
        .dropped(reason::UNKNOWN_ENDPOINT, EGRESS);
}

#[test]
fn a_pod_cannot_use_another_ethernet_address() {
    let frame = tcp((POD, 1), (NEIGHBOUR, 80)).with_source_mac(OTHER_MAC);
    Node::new()
        .run(PROGRAM, &frame)
        .dropped(reason::INVALID_SOURCE_MAC, EGRESS);
}

#[test]
fn a_pod_cannot_use_another_address_not_even_its_nodes() {
    let mut node = Node::new();
    for source in [
        NEIGHBOUR,
        REMOTE,
        NODE,
        ROUTER,
        WORLD,
        "0.0.0.0",
        "127.0.0.1",
    ] {
        node.run(PROGRAM, &tcp((source, 1), (NEIGHBOUR, 80)))
            .dropped(reason::INVALID_SOURCE_IP, EGRESS);
    }
}

#[test]
fn ipv6_reaches_nobody() {
    let mut frame = tcp((POD, 1), (NEIGHBOUR, 80));
    frame.ethertype = 0x86dd;
    Node::new()
        .run(PROGRAM, &frame)
        .dropped(reason::UNSUPPORTED_L3, EGRESS);
}

#[test]
fn no_pod_sends_to_a_tunnel_port_outside_the_pod_network() {
    let mut node = Node::new();
    for destination in [NODE, OTHER_NODE, ROUTER, WORLD] {
        node.run(PROGRAM, &udp((POD, 40_000), (destination, 8472)))
            .dropped(reason::ENCAPSULATION_PROHIBITED, EGRESS);
    }
    assert_eq!(
        node.run(PROGRAM, &udp((POD, 40_000), (NEIGHBOUR, 8472)))
            .verdict,
        REDIRECTED
    );
    assert_eq!(
        node.run(PROGRAM, &tcp((POD, 40_000), (NODE, 8472))).verdict,
        PASSED
    );
}

#[test]
fn the_tunnel_port_is_shut_behind_a_service_too() {
    let mut node = Node::new();
    node.service(("10.96.0.66", 53), 17, &[(OTHER_NODE, 8472)], 0);
    node.run(PROGRAM, &udp((POD, 40_000), ("10.96.0.66", 53)))
        .dropped(reason::ENCAPSULATION_PROHIBITED, EGRESS);
}

#[test]
fn who_asks_an_address_of_the_nodes_range_that_nobody_holds_is_told() {
    let frame = tcp((POD, 1), ("10.244.1.99", 80));
    let outcome = Node::new().run(PROGRAM, &frame);
    outcome.refused(&frame.bytes(), reason::UNKNOWN_TARGET, EGRESS);
}

#[test]
fn a_packet_on_its_last_hop_is_not_delivered() {
    let mut frame = tcp((POD, 1), (NEIGHBOUR, 80));
    frame.ttl = 1;
    Node::new()
        .run(PROGRAM, &frame)
        .dropped(reason::TTL_EXCEEDED, EGRESS);
}

fn arp(operation: u16, sender_mac: [u8; 6], sender: &str, target: &str) -> Vec<u8> {
    let mut bytes = [[0xff; 6], POD_MAC].concat();
    bytes.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4]);
    bytes.extend(operation.to_be_bytes());
    bytes.extend(sender_mac);
    bytes.extend(ip(sender).octets());
    bytes.extend([0; 6]);
    bytes.extend(ip(target).octets());
    bytes
}

#[test]
fn a_pod_may_ask_for_the_router_and_answer_for_itself_and_no_more() {
    let mut node = Node::new();
    assert_eq!(
        node.run_bytes(PROGRAM, &arp(1, POD_MAC, POD, ROUTER))
            .verdict,
        PASSED
    );
    assert_eq!(
        node.run_bytes(PROGRAM, &arp(2, POD_MAC, POD, NODE)).verdict,
        PASSED
    );
    node.run_bytes(PROGRAM, &arp(1, POD_MAC, POD, NEIGHBOUR))
        .dropped(reason::UNSUPPORTED_L2, EGRESS);
    node.run_bytes(PROGRAM, &arp(2, POD_MAC, ROUTER, NODE))
        .dropped(reason::INVALID_SOURCE_IP, EGRESS);
    node.run_bytes(PROGRAM, &arp(2, OTHER_MAC, POD, NODE))
        .dropped(reason::INVALID_SOURCE_MAC, EGRESS);
}
