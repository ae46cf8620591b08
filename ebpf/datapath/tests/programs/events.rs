use std::mem::offset_of;

use aya::maps::{MapData, RingBuf};
use datapath_abi::event::{DROP, Event, IS_REPLY, NEW, RING, TRACE, VERDICT, point};
use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY, matched};
use datapath_abi::reason::{INVALID_SOURCE_MAC, POLICY_DENIED};

use crate::frame::{TCP, tcp, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NEIGHBOUR_IDENTITY, Node, OTHER_MAC, POD, POD_IDENTITY, REDIRECTED};
use crate::rules::{any, peer};

const FROM: &str = "from_container";

fn told(ring: &mut RingBuf<MapData>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(record) = ring.next() {
        assert!(record.len() >= size_of::<Event>());
        // SAFETY: plain numbers, and the record is as long as one.
        #[expect(unsafe_code, reason = "the record as the programs wrote it")]
        events.push(unsafe { record.as_ptr().cast::<Event>().read_unaligned() });
    }
    events
}

#[test]
fn a_new_connection_is_told_by_each_judge_and_once_as_a_whole() {
    let mut node = Node::new();
    node.policy(
        9,
        &[peer(NEIGHBOUR_IDENTITY, EGRESS, ALLOW)
            .on(TCP, 80)
            .cookie(77)],
    );
    node.judge_by(POD, 9);
    let mut ring = node.ring();
    let frame = tcp((POD, 4000), (NEIGHBOUR, 80));
    assert_eq!(node.run(FROM, &frame).verdict, REDIRECTED);
    let events = told(&mut ring);
    let [egress, ingress, trace] = &events[..] else {
        panic!("{events:?}")
    };
    for event in &events {
        assert_eq!(
            (event.source, event.destination),
            (POD_IDENTITY, NEIGHBOUR_IDENTITY)
        );
        assert_eq!(event.bits, NEW);
        let bytes = frame.bytes();
        assert_eq!(usize::from(event.captured), bytes.len());
        assert_eq!(event.packet[..bytes.len()], bytes);
        assert_eq!(event.length as usize, bytes.len());
    }
    assert_eq!(
        (egress.kind, egress.code, egress.direction),
        (VERDICT, 0, EGRESS)
    );
    assert_eq!(
        (egress.endpoint, egress.cookie, egress.match_type),
        (1, 77, matched::L3_L4)
    );
    assert_eq!(
        (ingress.kind, ingress.code, ingress.direction),
        (VERDICT, 0, INGRESS)
    );
    assert_eq!(
        (ingress.endpoint, ingress.cookie, ingress.match_type),
        (2, 0, matched::ALL)
    );
    assert_eq!(
        (trace.kind, trace.code, trace.endpoint),
        (TRACE, point::TO_ENDPOINT, 1)
    );
}

#[test]
fn a_known_connection_is_told_of_with_new_flags_only() {
    let mut node = Node::new();
    let mut ring = node.ring();
    node.run(FROM, &tcp((POD, 4000), (NEIGHBOUR, 80)));
    told(&mut ring);
    node.speak_as(NEIGHBOUR);
    let back = tcp_flags((NEIGHBOUR, 80), (POD, 4000), 0x12);
    node.run(FROM, &back);
    let events = told(&mut ring);
    let [answer] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((answer.kind, answer.bits), (TRACE, IS_REPLY));
    assert_eq!((answer.source, answer.endpoint), (NEIGHBOUR_IDENTITY, 2));
    node.run(FROM, &back);
    assert_eq!(told(&mut ring), []);
    node.run(FROM, &tcp_flags((NEIGHBOUR, 80), (POD, 4000), 0x18));
    assert_eq!(told(&mut ring).len(), 1);
}

#[test]
fn a_connection_that_shows_nothing_new_is_told_of_every_five_seconds() {
    let mut node = Node::new();
    let mut ring = node.ring();
    let frame = udp((POD, 4000), (NEIGHBOUR, 53));
    node.run(FROM, &frame);
    told(&mut ring);
    for (seconds, events) in [(4, 0), (6, 1), (0, 0)] {
        let (key, mut state) = node.flow();
        state.reported[0] = state.reported[0].wrapping_sub(seconds);
        node.flows().insert(key, state, 0).unwrap();
        node.run(FROM, &frame);
        let traces = told(&mut ring);
        assert_eq!(traces.len(), events, "{seconds} seconds later: {traces:?}");
        assert!(
            traces
                .iter()
                .all(|event| (event.kind, event.bits) == (TRACE, 0))
        );
        // The next case starts at the last one's time.
        let (key, mut state) = node.flow();
        if events == 0 {
            state.reported[0] += seconds;
        }
        node.flows().insert(key, state, 0).unwrap();
    }
}

#[test]
fn a_drop_names_its_reason_and_a_refusal_its_judge() {
    let mut node = Node::new();
    node.policy(9, &[any(INGRESS, DEFAULT_DENY).cookie(5)]);
    node.judge_by(NEIGHBOUR, 9);
    let mut ring = node.ring();
    node.run(FROM, &udp((POD, 1), (NEIGHBOUR, 53)));
    let events = told(&mut ring);
    let [egress, ingress, drop] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((egress.kind, egress.code), (VERDICT, 0));
    for event in [ingress, drop] {
        assert_eq!(
            (event.code, event.endpoint, event.cookie),
            (POLICY_DENIED, 2, 5)
        );
        assert_eq!(event.direction, INGRESS);
    }
    assert_eq!((ingress.kind, drop.kind), (VERDICT, DROP));

    node.run(
        FROM,
        &udp((POD, 1), (NEIGHBOUR, 53)).with_source_mac(OTHER_MAC),
    );
    let events = told(&mut ring);
    let [drop] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (drop.kind, drop.code, drop.endpoint),
        (DROP, INVALID_SOURCE_MAC, 1)
    );
    assert_eq!((drop.source, drop.direction), (POD_IDENTITY, EGRESS));
}

#[test]
fn what_finds_no_room_is_counted_and_nothing_is_told_to_nobody() {
    let mut node = Node::new();
    let frame = udp((POD, 1), (NEIGHBOUR, 53)).with_source_mac(OTHER_MAC);
    node.run(FROM, &frame);
    let mut ring = node.ring();
    assert_eq!(told(&mut ring), []);
    let fit = RING / (size_of::<Event>() + 8);
    let times = fit + 100;
    for _ in 0..times {
        node.run(FROM, &frame);
    }
    let got = told(&mut ring).len();
    assert!(got <= fit && got > fit / 2, "{got} of {fit}");
    assert_eq!(node.lost(), u64::try_from(times - got).unwrap());
    assert_eq!(offset_of!(Event, packet) + 128, size_of::<Event>());
}
