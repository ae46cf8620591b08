//! Packet by packet every backend of a service is chosen as often as any other.

use datapath_abi::service::{INSIDE, OUTSIDE};

use crate::chance::{BOUND, TEN, distance};
use crate::frame::{UDP, see, udp};
use crate::node::{NEIGHBOUR, NODE, Node, POD, WORLD};

const VIP: &str = "10.96.0.10";
const FIRST: u16 = 1000;
const FLOWS: u16 = 10_000;

/// How often each backend was met by flows of a client. Backends are ports of one pod, and one may have several slots.
fn met(program: &str, scope: u8, [client, at]: [&str; 2], slots: &[u16]) -> [u32; TEN] {
    let mut node = Node::new();
    let backends: Vec<_> = slots
        .iter()
        .map(|backend| (NEIGHBOUR, FIRST + backend))
        .collect();
    node.service_for(scope, (at, 53), UDP, &backends, 0);
    let mut met = [0; TEN];
    for port in 20_000..20_000 + FLOWS {
        let outcome = node.run(program, &udp((client, port), (at, 53)));
        let (_, backend) = see(&outcome.frame).destination;
        met[usize::from(backend - FIRST)] += 1;
    }
    met
}

const EACH: [u16; TEN] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn what_a_pod_sends_meets_every_backend_equally_often() {
    let met = met("from_container", INSIDE, [POD, VIP], &EACH);
    assert!(distance(&met) < BOUND, "{met:?}");
}

#[test]
fn what_comes_from_outside_meets_every_backend_equally_often() {
    let met = met("from_netdev", OUTSIDE, [WORLD, NODE], &EACH);
    assert!(distance(&met) < BOUND, "{met:?}");
}

/// So that the tests above can fail.
#[test]
fn a_backend_with_three_slots_of_twenty_is_noticed() {
    let mut slots = [EACH, EACH].concat();
    slots[1] = 0;
    let met = met("from_container", INSIDE, [POD, VIP], &slots);
    assert!(distance(&met) > BOUND, "{met:?}");
}
