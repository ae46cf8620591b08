use datapath_abi::metric::EGRESS;
use datapath_abi::reason;
use datapath_abi::service::{Affinity, Client};

use crate::frame::{icmp, see, seen, tcp, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NODE, Node, PASSED, POD, REDIRECTED, REMOTE};

const VIP: &str = "10.96.0.10";
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

#[test]
fn a_packet_for_a_service_goes_to_its_backend_and_the_answer_comes_from_the_service() {
    let mut node = Node::new();
    node.service((VIP, 53), UDP, &[(NEIGHBOUR, 1053)], 0);
    let there = node.run("from_container", &udp((POD, 40_000), (VIP, 53)));
    assert_eq!(there.verdict, REDIRECTED);
    assert_eq!(
        see(&there.frame),
        seen((POD, 40_000), (NEIGHBOUR, 1053), 63)
    );

    let back = node.run("from_host", &udp((NEIGHBOUR, 1053), (POD, 40_000)));
    assert_eq!(back.verdict, REDIRECTED);
    assert_eq!(see(&back.frame), seen((VIP, 53), (POD, 40_000), 64));
}

#[test]
fn a_backend_on_the_host_is_reached_through_the_stack() {
    let mut node = Node::new();
    node.service((VIP, 443), TCP, &[(NODE, 6443)], 0);
    let outcome = node.run("from_container", &tcp((POD, 40_000), (VIP, 443)));
    assert_eq!(outcome.verdict, PASSED);
    assert_eq!(see(&outcome.frame), seen((POD, 40_000), (NODE, 6443), 64));
}

#[test]
fn an_open_connection_stays_with_its_backend_when_the_service_changes() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[(NEIGHBOUR, 8080)], 0);
    node.run("from_container", &tcp((POD, 40_000), (VIP, 80)));
    node.service((VIP, 80), TCP, &[(REMOTE, 9090)], 0);

    let data = node.run("from_container", &tcp_flags((POD, 40_000), (VIP, 80), 0x10));
    assert_eq!(see(&data.frame).destination, (NEIGHBOUR.to_owned(), 8080));
    let new = node.run("from_container", &tcp((POD, 40_001), (VIP, 80)));
    assert_eq!(see(&new.frame).destination, (REMOTE.to_owned(), 9090));
}

#[test]
fn a_udp_flow_leaves_a_backend_that_is_gone() {
    let mut node = Node::new();
    node.service((VIP, 53), UDP, &[(NEIGHBOUR, 53)], 0);
    node.run("from_container", &udp((POD, 40_000), (VIP, 53)));
    node.service((VIP, 53), UDP, &[(REMOTE, 53)], 0);
    let outcome = node.run("from_container", &udp((POD, 40_000), (VIP, 53)));
    assert_eq!(see(&outcome.frame).destination, (REMOTE.to_owned(), 53));
}

#[test]
fn connections_spread_over_all_backends() {
    let mut node = Node::new();
    node.service(
        (VIP, 80),
        TCP,
        &[(NEIGHBOUR, 1), (NEIGHBOUR, 2), (REMOTE, 3)],
        0,
    );
    let mut ports: Vec<u16> = (0..100)
        .map(|n| {
            see(&node
                .run("from_container", &tcp((POD, 30_000 + n), (VIP, 80)))
                .frame)
            .destination
            .1
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports, [1, 2, 3]);
}

#[test]
fn a_client_with_affinity_stays_with_one_backend() {
    let mut node = Node::new();
    node.service(
        (VIP, 80),
        TCP,
        &[(NEIGHBOUR, 1), (NEIGHBOUR, 2), (NEIGHBOUR, 3)],
        3600,
    );
    let mut ports: Vec<u16> = (0..30)
        .map(|n| {
            see(&node
                .run("from_container", &tcp((POD, 30_000 + n), (VIP, 80)))
                .frame)
            .destination
            .1
        })
        .collect();
    ports.dedup();
    assert_eq!(ports.len(), 1);
}

#[test]
fn a_pod_that_is_its_own_backend_sees_the_loopback_address_and_gets_its_answer() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[(POD, 8080)], 0);
    let there = node.run("from_container", &tcp((POD, 40_000), (VIP, 80)));
    assert_eq!(there.verdict, REDIRECTED);
    assert_eq!(
        see(&there.frame),
        seen(("169.254.42.1", 40_000), (POD, 8080), 63)
    );

    let back = node.run(
        "from_container",
        &tcp_flags((POD, 8080), ("169.254.42.1", 40_000), 0x12),
    );
    assert_eq!(back.verdict, REDIRECTED);
    assert_eq!(see(&back.frame), seen((VIP, 80), (POD, 40_000), 63));
}

#[test]
fn a_service_refuses_what_nobody_answers() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[], 0);
    node.service((VIP, 53), UDP, &[(NEIGHBOUR, 53)], 0);
    let mut fragment = udp((POD, 1), (VIP, 53));
    fragment.fragment = 0x2000;
    for (frame, why) in [
        (icmp(POD, VIP, 8, 1, b""), reason::NO_BACKEND),
        (fragment, reason::FRAGMENT),
    ] {
        node.run("from_container", &frame).dropped(why, EGRESS);
    }
}

/// The Internet checksum of what holds its own (RFC 1071): 0 if it is right.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
    let sum: u32 = words.sum();
    let once = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((once & 0xffff) + (once >> 16)).unwrap()
}

#[test]
fn who_asks_for_what_nobody_answers_is_told_by_icmp_and_it_is_counted_as_a_drop() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[], 0);
    for (question, quoted) in [
        (tcp((POD, 1), (VIP, 80)), 40),
        (tcp((POD, 1), (VIP, 81)), 40),
        (udp((POD, 1), (VIP, 82)), 28),
    ] {
        let asked = question.bytes();
        let told = node.run("from_container", &question);
        told.refused(&asked, reason::NO_BACKEND, EGRESS);
        let (header, message) = told.frame[14..].split_at(20);
        assert_eq!(header[0], 0x45);
        assert_eq!(
            usize::from(u16::from_be_bytes([header[2], header[3]])),
            told.frame.len() - 14
        );
        assert_eq!((checksum(header), checksum(message)), (0, 0));
        assert_eq!(message[8..], asked[14..14 + quoted]);
    }
}

#[test]
fn a_flood_of_questions_is_not_answered_with_a_flood() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[], 0);
    let answered = (0..2000)
        .filter(|n| {
            node.run("from_container", &tcp((POD, 1 + n), (VIP, 80)))
                .verdict
                == REDIRECTED
        })
        .count();
    assert!((1..2000).contains(&answered), "{answered} of 2000");
}

#[test]
fn an_answer_between_pods_is_restored_on_its_direct_way() {
    let mut node = Node::new();
    node.service((VIP, 53), UDP, &[(NEIGHBOUR, 53)], 0);
    node.run("from_container", &udp((POD, 40_000), (VIP, 53)));
    // The backend answers: now it is the one behind the device.
    node.speak_as(NEIGHBOUR);
    let back = node.run("from_container", &udp((NEIGHBOUR, 53), (POD, 40_000)));
    assert_eq!(back.verdict, REDIRECTED);
    assert_eq!(see(&back.frame), seen((VIP, 53), (POD, 40_000), 63));
}

#[test]
fn a_new_connection_straight_to_a_backend_is_not_taken_for_an_old_one_through_the_service() {
    let mut node = Node::new();
    node.service((VIP, 80), TCP, &[(NEIGHBOUR, 80)], 0);
    node.run("from_container", &tcp((POD, 40_000), (VIP, 80)));
    let mut answer_to = |straight: u8| {
        node.speak_as(POD);
        let straight = tcp_flags((POD, 40_000), (NEIGHBOUR, 80), straight);
        node.run("from_container", &straight);
        node.speak_as(NEIGHBOUR);
        let answer = tcp_flags((NEIGHBOUR, 80), (POD, 40_000), ACK);
        see(&node.run("from_container", &answer).frame)
    };
    assert_eq!(answer_to(ACK), seen((VIP, 80), (POD, 40_000), 63));
    assert_eq!(answer_to(SYN), seen((NEIGHBOUR, 80), (POD, 40_000), 63));
}

#[test]
fn a_client_whose_other_processor_was_quicker_keeps_its_backend() {
    let mut node = Node::new();
    let backends = [(NEIGHBOUR, 1), (NEIGHBOUR, 2), (NEIGHBOUR, 3)];
    node.service((VIP, 80), TCP, &backends, 3600);
    let mut ports = Vec::new();
    for n in 0..30 {
        let asked = node.run("from_container", &tcp((POD, 30_000 + n), (VIP, 80)));
        ports.push(see(&asked.frame).destination.1);
        let mut affinity = node.hash::<Client, Affinity>("cilium_lb4_affinity");
        let (client, mut last) = affinity.iter().next().unwrap().unwrap();
        last.last_used += 1_000_000_000;
        affinity.insert(client, last, 0).unwrap();
    }
    ports.dedup();
    assert_eq!(ports.len(), 1);
}
