use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason::{FORWARDED, INVALID_PACKET, POLICY_DENIED, TRUNCATED_L4};

use crate::frame::{Frame, SCTP, TCP, icmp, sctp, tcp, udp};
use crate::node::{DROPPED, NEIGHBOUR, Node, POD, REDIRECTED, REMOTE, WORLD};
use crate::rules::{any, peer};

fn samples() -> Vec<(&'static str, Frame)> {
    let with_options = Frame {
        options: vec![1; 8],
        ..tcp((POD, 1), (NEIGHBOUR, 80))
    };
    vec![
        ("tcp", tcp((POD, 40_000), (NEIGHBOUR, 80))),
        ("tcp with IP options", with_options),
        ("udp to another node", udp((POD, 40_000), (REMOTE, 53))),
        ("udp to the world", udp((POD, 40_000), (WORLD, 53))),
        ("ping", icmp(POD, NEIGHBOUR, 8, 1, b"12345678")),
        ("sctp", sctp((POD, 40_000), (NEIGHBOUR, 80), 1, &[7; 16])),
    ]
}

#[test]
fn a_packet_cut_off_anywhere_never_passes() {
    let mut node = Node::new();
    for (name, frame) in samples() {
        let bytes = frame.bytes();
        // The kernel runs no program on an IPv4 frame without a whole header.
        for length in 34..bytes.len() {
            let outcome = node.run_bytes("from_container", &bytes[..length]);
            assert_eq!(outcome.verdict, DROPPED, "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn options_and_padding_after_the_packet_are_no_fault() {
    let mut node = Node::new();
    let frame = Frame {
        options: vec![1; 40],
        ..tcp((POD, 1), (NEIGHBOUR, 80))
    };
    assert_eq!(node.run("from_container", &frame).verdict, REDIRECTED);
    let mut padded = tcp((POD, 1), (NEIGHBOUR, 80)).bytes();
    padded.extend([0; 20]);
    assert_eq!(
        node.run_bytes("from_container", &padded).verdict,
        REDIRECTED
    );
}

/// IP options (RFC 791 3.1, RFC 2113), and one that nobody has defined.
const OPTIONS: &[(u8, &str)] = &[
    (0x07, "record route"),
    (0x44, "timestamp"),
    (0x83, "loose source route"),
    (0x89, "strict source route"),
    (0x94, "router alert"),
    (0xde, "nobody's"),
];

/// Twenty bytes of one option that says it has `length`. Who took them for the TCP header would read `port` as the one that is asked.
fn option(kind: u8, length: u8, port: u8) -> Vec<u8> {
    let mut option = vec![kind, length, 0, port];
    option.extend(tcp((POD, 0), (NEIGHBOUR, 0)).l4[4..].iter());
    option
}

#[test]
fn ports_are_read_behind_any_ip_options_whatever_length_those_claim() {
    const POLICY: u32 = 9;
    let mut node = Node::new();
    let rules = [EGRESS, INGRESS].map(|direction| {
        let open = peer(0, direction, ALLOW).on(TCP, 80);
        [any(direction, DEFAULT_DENY), open]
    });
    node.policy(POLICY, rules.as_flattened());
    node.judge_by(POD, POLICY);
    let mut client = 1024;
    for (kind, name) in OPTIONS {
        for length in [0, 1, 3, 20, 40, 255] {
            for (port, hidden, passes) in [(80, 81, true), (81, 80, false)] {
                client += 1;
                let with_option = |source, destination| Frame {
                    options: option(*kind, length, hidden),
                    ..tcp((source, client), (destination, port))
                };
                let leaving = node.run("from_container", &with_option(POD, NEIGHBOUR));
                let arriving = node.run_forwarded(&with_option(REMOTE, POD));
                for outcome in [leaving, arriving] {
                    let way = if passes { REDIRECTED } else { DROPPED };
                    let what = format!("{name} of {length} bytes to {port}: {outcome:?}");
                    assert_eq!(outcome.verdict, way, "{what}");
                    let reason = if passes { FORWARDED } else { POLICY_DENIED };
                    assert_eq!(outcome.counted[0].0, reason, "{what}");
                }
            }
        }
    }
}

/// Offset in the frame, what is written there, what that claims, and as what it is dropped.
const LIES: &[(usize, &[u8], &str, u8)] = &[
    (14, &[0x65], "IP version 6 in an IPv4 frame", INVALID_PACKET),
    (14, &[0x44], "an IP header of 16 bytes", INVALID_PACKET),
    (
        14,
        &[0x4f],
        "an IP header longer than the packet",
        INVALID_PACKET,
    ),
    (16, &[0, 0], "a total length of 0", INVALID_PACKET),
    (
        16,
        &[0, 19],
        "a total length without a header",
        INVALID_PACKET,
    ),
    (
        16,
        &[0, 30],
        "a total length without a whole TCP header",
        TRUNCATED_L4,
    ),
    (
        16,
        &[0xff, 0xff],
        "a total length beyond the frame",
        INVALID_PACKET,
    ),
    (46, &[0x40], "a TCP header of 16 bytes", TRUNCATED_L4),
    (
        46,
        &[0xf0],
        "a TCP header longer than the packet",
        TRUNCATED_L4,
    ),
];

#[test]
fn a_header_that_contradicts_itself_never_passes() {
    let mut node = Node::new();
    for (offset, bytes, what, reason) in LIES {
        let mut frame = tcp((POD, 40_000), (NEIGHBOUR, 80)).bytes();
        frame[*offset..offset + bytes.len()].copy_from_slice(bytes);
        println!("{what}");
        node.run_bytes("from_container", &frame)
            .dropped(*reason, EGRESS);
    }
    for length in [0_u16, 7, 16, 0xffff] {
        let mut frame = udp((POD, 40_000), (NEIGHBOUR, 53)).bytes();
        frame[38..40].copy_from_slice(&length.to_be_bytes());
        println!("a UDP length of {length}");
        node.run_bytes("from_container", &frame)
            .dropped(TRUNCATED_L4, EGRESS);
    }
}

#[test]
fn sctp_without_a_whole_header_never_passes() {
    let mut node = Node::new();
    for length in 0..12 {
        let mut frame = sctp((POD, 40_000), (NEIGHBOUR, 80), 1, &[7; 16]);
        frame.l4.truncate(length);
        let outcome = node.run("from_container", &frame);
        outcome.dropped(TRUNCATED_L4, EGRESS);
        assert_eq!(outcome.frame, frame.bytes());
    }
}

#[test]
fn a_first_fragment_too_short_for_its_ports_never_passes() {
    let mut node = Node::new();
    for protocol in [6, 17, 1, SCTP] {
        let mut frame = tcp((POD, 1), (NEIGHBOUR, 80));
        frame.protocol = protocol;
        frame.fragment = 0x2000;
        frame.l4.truncate(7);
        assert_eq!(
            node.run("from_container", &frame).verdict,
            DROPPED,
            "protocol {protocol}"
        );
    }
}

/// Not `from_overlay`, which reads nothing that came without a tunnel: `network/malformed.rs` sends through one.
#[test]
fn no_program_fails_on_any_single_changed_byte() {
    let mut node = Node::new();
    for program in ["from_container", "from_host", "to_netdev", "from_netdev"] {
        for (_, frame) in samples() {
            let bytes = frame.bytes();
            for offset in 12..bytes.len() {
                for value in [0, 0x7f, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[offset] = value;
                    // The kernel fails the run if the program faults; the verdict is one of the three.
                    let verdict = node.run_bytes(program, &bytes).verdict;
                    assert!([-1, DROPPED, REDIRECTED].contains(&verdict));
                }
            }
        }
    }
}
