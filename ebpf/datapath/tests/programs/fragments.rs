use datapath_abi::metric::EGRESS;
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason::{FRAGMENT_NOT_FOUND, INVALID_PACKET, POLICY_DENIED};

use crate::frame::{Frame, UDP, tcp, udp};
use crate::node::{NEIGHBOUR, Node, POD, REDIRECTED};
use crate::rules::any;

const FROM: &str = "from_container";

fn node() -> Node {
    let mut node = Node::new();
    node.policy(
        9,
        &[
            any(EGRESS, DEFAULT_DENY),
            any(EGRESS, ALLOW).on(UDP, 53),
            any(EGRESS, ALLOW).on(6, 53),
        ],
    );
    node.judge_by(POD, 9);
    node
}

fn piece(port: u16, fragment: u16) -> Frame {
    Frame {
        fragment,
        ..udp((POD, 4000), (NEIGHBOUR, port))
    }
}

#[test]
fn later_pieces_share_the_fate_of_the_first() {
    let mut node = node();
    node.run(FROM, &piece(53, 0x2001))
        .dropped(FRAGMENT_NOT_FOUND, EGRESS);
    for fragment in [0x2000, 0x2001, 0x0002] {
        assert_eq!(
            node.run(FROM, &piece(53, fragment)).verdict,
            REDIRECTED,
            "{fragment:#x}"
        );
    }
    // The same datagram again, with another port in its first piece.
    for fragment in [0x2000, 0x2001, 0x0002] {
        node.run(FROM, &piece(54, fragment))
            .dropped(POLICY_DENIED, EGRESS);
    }
}

#[test]
fn a_piece_that_covers_the_transport_header_is_no_piece() {
    let mut node = node();
    let of = |fragment, protocol| Frame {
        protocol,
        fragment,
        ..tcp((POD, 4000), (NEIGHBOUR, 53))
    };
    for protocol in [6, 132] {
        assert!(node.run(FROM, &of(0x2000, protocol)).verdict > 0);
        node.run(FROM, &of(0x2001, protocol))
            .dropped(INVALID_PACKET, EGRESS);
    }
    node.run(FROM, &of(0x0002, 6))
        .dropped(INVALID_PACKET, EGRESS);
    assert_eq!(node.run(FROM, &of(0x0003, 6)).verdict, REDIRECTED);
}

#[test]
fn a_first_piece_without_a_whole_transport_header_is_invalid() {
    let mut node = node();
    for (protocol, length) in [(6, 19), (17, 7), (1, 7), (132, 11)] {
        let mut frame = tcp((POD, 4000), (NEIGHBOUR, 53));
        frame.protocol = protocol;
        frame.fragment = 0x2000;
        frame.l4.truncate(length);
        node.run(FROM, &frame).dropped(INVALID_PACKET, EGRESS);
    }
}
