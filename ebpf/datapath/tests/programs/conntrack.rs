use std::sync::MutexGuard;

use aya::Ebpf;
use datapath_abi::flow::{CLOSING, State, TCP_CLOSING, TCP_OPEN, TCP_SYN};
use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason::{INVALID_PACKET, POLICY_DENIED};

use crate::frame::{Frame, icmp, sctp, tcp, tcp_flags, udp};
use crate::node::{DROPPED, NEIGHBOUR, Node, POD, REDIRECTED, REMOTE, ROUTER};
use crate::rules::{any, peer};
use crate::shared;

pub(crate) const FROM: &str = "from_container";
const OUT_ONLY: u32 = 9;
const CLOSED: u32 = 10;

pub(crate) const SECOND: u64 = 1_000_000_000;

/// Both pods may begin nothing towards each other but what the first one sends.
pub(crate) fn one_way() -> Node {
    one_way_on(shared::take())
}

/// As above, on an object of its own.
pub(crate) fn one_way_on(object: MutexGuard<'static, Ebpf>) -> Node {
    let mut node = Node::on(object);
    node.policy(OUT_ONLY, &[any(EGRESS, ALLOW), any(INGRESS, DEFAULT_DENY)]);
    node.policy(
        CLOSED,
        &[any(EGRESS, DEFAULT_DENY), any(INGRESS, DEFAULT_DENY)],
    );
    node.judge_by(POD, OUT_ONLY);
    node
}

pub(crate) fn from(node: &mut Node, pod: &str, frame: &Frame) -> i32 {
    node.speak_as(pod);
    node.run(FROM, frame).verdict
}

/// In whole seconds.
pub(crate) fn lifetime(state: &State) -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    let now = u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).unwrap();
    (state.expires - now).div_ceil(SECOND) * SECOND
}

#[test]
fn answers_pass_where_nothing_may_be_begun() {
    for frame in [
        tcp as fn((&str, u16), (&str, u16)) -> Frame,
        udp as fn((&str, u16), (&str, u16)) -> Frame,
    ] {
        let mut node = one_way();
        let back = |flags| Frame {
            ..if flags == 0 {
                udp((NEIGHBOUR, 80), (POD, 4000))
            } else {
                tcp_flags((NEIGHBOUR, 80), (POD, 4000), flags)
            }
        };
        let there = frame((POD, 4000), (NEIGHBOUR, 80));
        let answer = back(if there.protocol == 6 { 0x12 } else { 0 });
        assert_eq!(from(&mut node, NEIGHBOUR, &answer), DROPPED);
        assert_eq!(from(&mut node, POD, &there), REDIRECTED);
        assert_eq!(from(&mut node, NEIGHBOUR, &answer), REDIRECTED);
        let (_, state) = node.flow();
        assert_eq!(state.packets, [1, 1]);
    }
}

#[test]
fn pings_are_answered_and_not_asked_back() {
    let mut node = one_way();
    for id in [0, 7] {
        let ping = icmp(POD, NEIGHBOUR, 8, id, b"");
        assert_eq!(from(&mut node, POD, &ping), REDIRECTED);
        let answer = icmp(NEIGHBOUR, POD, 0, id, b"");
        assert_eq!(from(&mut node, NEIGHBOUR, &answer), REDIRECTED);
        let other_way = icmp(NEIGHBOUR, POD, 8, id, b"");
        assert_eq!(from(&mut node, NEIGHBOUR, &other_way), DROPPED);
    }
}

#[test]
fn the_end_that_answers_cannot_begin() {
    let mut node = one_way();
    let there = tcp((POD, 4000), (NEIGHBOUR, 80));
    assert_eq!(from(&mut node, POD, &there), REDIRECTED);
    let syn = tcp((NEIGHBOUR, 80), (POD, 4000));
    assert_eq!(from(&mut node, NEIGHBOUR, &syn), DROPPED);
}

#[test]
fn at_a_new_epoch_both_directions_are_judged_as_the_connection_began() {
    for (pod, policy, passes) in [
        (POD, OUT_ONLY, true),
        (POD, CLOSED, false),
        (NEIGHBOUR, CLOSED, false),
    ] {
        let mut node = one_way();
        let there = udp((POD, 4000), (NEIGHBOUR, 53));
        let back = udp((NEIGHBOUR, 53), (POD, 4000));
        assert_eq!(from(&mut node, POD, &there), REDIRECTED);
        node.judge_by(pod, policy);
        assert_eq!(
            from(&mut node, NEIGHBOUR, &back),
            REDIRECTED,
            "the old epoch"
        );
        node.new_epoch();
        for (sender, frame) in [(NEIGHBOUR, &back), (POD, &there), (NEIGHBOUR, &back)] {
            let verdict = from(&mut node, sender, frame);
            assert_eq!(verdict == REDIRECTED, passes, "{pod} {policy} {sender}");
        }
        let (_, state) = node.flow();
        assert_eq!(state.epoch == 1, passes);
    }
}

#[test]
fn a_pod_that_becomes_somebody_else_is_judged_anew() {
    let mut node = Node::new();
    node.policy(
        OUT_ONLY,
        &[
            any(INGRESS, DEFAULT_DENY),
            peer(crate::node::POD_IDENTITY, INGRESS, ALLOW),
            any(EGRESS, ALLOW),
        ],
    );
    node.judge_by(NEIGHBOUR, OUT_ONLY);
    let frame = udp((POD, 4000), (NEIGHBOUR, 53));
    assert_eq!(from(&mut node, POD, &frame), REDIRECTED);
    let mut pods = node.hash::<_, datapath_abi::endpoint::Endpoint>("cilium_lxc");
    let pod = pods.get(&crate::node::address(POD), 0).unwrap();
    let changed = datapath_abi::endpoint::Endpoint {
        identity: 4242,
        ..pod
    };
    pods.insert(crate::node::address(POD), changed, 0).unwrap();
    node.new_epoch();
    assert_eq!(from(&mut node, POD, &frame), DROPPED);
}

#[test]
fn a_connection_of_the_addresss_last_holder_is_none_of_its_next_one() {
    for (other, way) in [(NEIGHBOUR, REDIRECTED), (REMOTE, REDIRECTED)] {
        let mut node = one_way();
        let there = udp((POD, 4000), (other, 53));
        let back = |node: &mut Node| {
            if other == NEIGHBOUR {
                node.speak_as(other);
            }
            node.run_forwarded(&udp((other, 53), (POD, 4000)))
        };
        assert_eq!(from(&mut node, POD, &there), way);
        assert_eq!(back(&mut node).verdict, REDIRECTED);
        node.reattach(POD);
        node.new_epoch();
        back(&mut node).dropped(POLICY_DENIED, EGRESS);
        assert_eq!(from(&mut node, POD, &there), way, "it begins anew");
        assert_eq!(back(&mut node).verdict, REDIRECTED);
        assert_eq!(node.flow().1.packets, [1, 1]);
    }
}

#[test]
fn an_error_about_a_connection_of_the_last_holder_is_about_nothing() {
    let mut node = one_way();
    let there = udp((POD, 4000), (NEIGHBOUR, 53));
    assert_eq!(from(&mut node, POD, &there), REDIRECTED);
    let error = icmp(NEIGHBOUR, POD, 3, 0, &there.packet()[..28]);
    node.reattach(POD);
    node.new_epoch();
    assert_eq!(from(&mut node, NEIGHBOUR, &error), DROPPED);
}

#[test]
fn a_connection_lives_as_long_as_its_state_says() {
    let mut node = Node::new();
    let there = |flags| tcp_flags((POD, 4000), (NEIGHBOUR, 80), flags);
    let back = |flags| tcp_flags((NEIGHBOUR, 80), (POD, 4000), flags);
    for (sender, frame, expected) in [
        (POD, there(0x02), TCP_SYN),
        (NEIGHBOUR, back(0x12), TCP_SYN),
        (POD, there(0x10), TCP_OPEN),
        (NEIGHBOUR, back(0x11), TCP_OPEN),
        (POD, there(0x11), TCP_CLOSING),
    ] {
        assert_eq!(from(&mut node, sender, &frame), REDIRECTED);
        assert_eq!(lifetime(&node.flow().1), expected);
    }
    assert_ne!(node.flow().1.bits & CLOSING, 0);
    assert_eq!(from(&mut node, POD, &there(0x02)), REDIRECTED);
    let (_, reopened) = node.flow();
    assert_eq!((lifetime(&reopened), reopened.packets), (TCP_SYN, [1, 0]));
}

#[test]
fn what_has_no_end_of_its_own_lives_a_minute_after_each_packet() {
    for (there, back) in [
        (
            udp((POD, 4000), (NEIGHBOUR, 53)),
            udp((NEIGHBOUR, 53), (POD, 4000)),
        ),
        (
            icmp(POD, NEIGHBOUR, 8, 7, b""),
            icmp(NEIGHBOUR, POD, 0, 7, b""),
        ),
        (
            sctp((POD, 4000), (NEIGHBOUR, 9), 1, &[0; 16]),
            sctp((NEIGHBOUR, 9), (POD, 4000), 2, &[0; 16]),
        ),
    ] {
        let mut node = one_way();
        for (sender, frame) in [(POD, &there), (NEIGHBOUR, &back), (POD, &there)] {
            assert_eq!(from(&mut node, sender, frame), REDIRECTED);
            let protocol = frame.protocol;
            assert_eq!(lifetime(&node.flow().1), 60 * SECOND, "protocol {protocol}");
            // Only what this packet adds makes it a minute again.
            node.age_flow(30 * SECOND);
        }
    }
}

#[test]
fn a_connection_that_has_ended_is_none() {
    let mut node = one_way();
    let there = udp((POD, 4000), (NEIGHBOUR, 53));
    let back = udp((NEIGHBOUR, 53), (POD, 4000));
    assert_eq!(from(&mut node, POD, &there), REDIRECTED);
    node.age_flow(u64::MAX);
    assert_eq!(from(&mut node, NEIGHBOUR, &back), DROPPED);
}

#[test]
fn an_error_passes_with_the_connection_it_is_about_and_no_other_way() {
    let mut node = one_way();
    let there = udp((POD, 4000), (NEIGHBOUR, 53));
    assert_eq!(from(&mut node, POD, &there), REDIRECTED);
    let quote = there.packet()[..28].to_vec();
    let error = |rest: &[u8]| icmp(NEIGHBOUR, POD, 3, 0, rest);
    assert_eq!(from(&mut node, NEIGHBOUR, &error(&quote)), REDIRECTED);

    let foreign = udp((POD, 4000), (REMOTE, 53)).packet()[..28].to_vec();
    let unknown = udp((POD, 4001), (NEIGHBOUR, 53)).packet()[..28].to_vec();
    let backwards = udp((NEIGHBOUR, 53), (POD, 4000)).packet()[..28].to_vec();
    for (what, rest, why) in [
        ("a packet to somebody else", &foreign, INVALID_PACKET),
        ("its own packet", &backwards, INVALID_PACKET),
        ("no known connection", &unknown, POLICY_DENIED),
        ("hardly anything", &quote[..20].to_vec(), POLICY_DENIED),
    ] {
        println!("{what}");
        node.speak_as(NEIGHBOUR);
        node.run(FROM, &error(rest)).dropped(why, EGRESS);
    }
    assert_eq!(node.flows().iter().count(), 1, "errors leave no entry");
}

#[test]
fn what_the_host_began_is_answered_after_a_new_epoch() {
    let mut node = Node::new();
    node.policy(
        OUT_ONLY,
        &[
            any(EGRESS, DEFAULT_DENY),
            any(INGRESS, DEFAULT_DENY),
            peer(1, INGRESS, ALLOW),
        ],
    );
    node.judge_by(POD, OUT_ONLY);
    for host in [ROUTER, "192.168.7.7"] {
        let there = udp((host, 4000), (POD, 53));
        assert_eq!(node.run("from_host", &there).verdict, REDIRECTED);
        node.new_epoch();
        let back = udp((POD, 53), (host, 4000));
        assert_ne!(node.run(FROM, &back).verdict, DROPPED, "{host}");
    }
}
