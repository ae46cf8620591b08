//! What a reset may do: end the connection it belongs to, for the two ends of it.

use datapath_abi::flow::CLOSING;
use datapath_abi::metric::EGRESS;
use datapath_abi::reason::{INVALID_SOURCE_IP, POLICY_DENIED};

use crate::conntrack::{FROM, SECOND, from, lifetime, one_way};
use crate::frame::{Frame, tcp_flags};
use crate::node::{DROPPED, LOOPBACK, NEIGHBOUR, Node, OTHER_MAC, POD, REDIRECTED, REMOTE, WORLD};

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// A pod of the node that has no part in the connection.
const THIRD: &str = "10.244.1.30";

fn there(flags: u8) -> Frame {
    tcp_flags((POD, 4000), (NEIGHBOUR, 80), flags)
}

fn back(flags: u8) -> Frame {
    tcp_flags((NEIGHBOUR, 80), (POD, 4000), flags)
}

/// With an open connection; only its client may begin one.
fn connected() -> Node {
    let mut node = one_way();
    for (pod, frame) in [
        (POD, there(SYN)),
        (NEIGHBOUR, back(SYN | ACK)),
        (POD, there(ACK)),
    ] {
        assert_eq!(from(&mut node, pod, &frame), REDIRECTED);
    }
    node
}

#[test]
fn a_reset_of_no_connection_is_judged_as_what_begins_one() {
    let mut node = one_way();
    node.speak_as(NEIGHBOUR);
    for flags in [RST, RST | ACK] {
        node.run(FROM, &back(flags)).dropped(POLICY_DENIED, EGRESS);
        for peer in [REMOTE, WORLD] {
            node.run_forwarded(&tcp_flags((peer, 80), (POD, 4000), flags))
                .dropped(POLICY_DENIED, EGRESS);
        }
    }
    assert_eq!(node.flows().iter().count(), 0, "resets leave no entry");
}

#[test]
fn a_reset_of_somebody_else_leaves_a_connection_as_it_is() {
    let mut node = connected();
    let open = node.flow();
    node.pod(THIRD, LOOPBACK, OTHER_MAC);
    node.speak_as(THIRD);
    for forged in [back(RST | ACK), there(RST | ACK)] {
        node.run(FROM, &forged).dropped(INVALID_SOURCE_IP, EGRESS);
        node.run_forwarded(&forged)
            .dropped(INVALID_SOURCE_IP, EGRESS);
    }
    let own = |source| tcp_flags((source, 80), (POD, 4000), RST | ACK);
    node.run(FROM, &own(THIRD)).dropped(POLICY_DENIED, EGRESS);
    for peer in [REMOTE, WORLD] {
        node.run_forwarded(&own(peer))
            .dropped(POLICY_DENIED, EGRESS);
    }
    assert_eq!(node.flow(), open);
}

#[test]
fn a_reset_of_the_end_that_answers_leaves_the_connection_ten_seconds_and_nothing_passes_after_them()
{
    let mut node = connected();
    assert_eq!(from(&mut node, NEIGHBOUR, &back(RST)), REDIRECTED);
    for (pod, frame) in [(POD, there(ACK)), (NEIGHBOUR, back(ACK))] {
        let (_, state) = node.flow();
        assert_eq!(
            (lifetime(&state), state.bits & CLOSING),
            (10 * SECOND, CLOSING)
        );
        // What was on its way still arrives, and opens nothing again.
        assert_eq!(from(&mut node, pod, &frame), REDIRECTED);
    }
    assert_eq!(from(&mut node, NEIGHBOUR, &back(SYN)), DROPPED);
    node.age_flow(u64::MAX);
    for flags in [ACK, RST, SYN | ACK] {
        assert_eq!(from(&mut node, NEIGHBOUR, &back(flags)), DROPPED);
    }
}
