//! What a packet costs in each program; printed, not judged: run with `--ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::frame::{Frame, tcp_flags};
use crate::node::{NEIGHBOUR, NODE, Node, POD, REMOTE, ROUTER, WORLD};

#[test]
#[ignore = "a measurement"]
fn a_packet() {
    // Delivery counts down the TTL of the one packet that is run again and again.
    const HOPS: u32 = 200;
    let mut node = Node::new();
    for (name, program, source, destination) in [
        ("to a neighbour", "from_container", POD, NEIGHBOUR),
        ("to another node", "from_container", POD, REMOTE),
        ("to the host", "from_container", POD, NODE),
        ("from the host to a pod", "from_host", ROUTER, NEIGHBOUR),
        ("the host's own, out", "to_netdev", NODE, WORLD),
        ("the host's own, in", "from_netdev", WORLD, NODE),
    ] {
        let frame = Frame {
            ttl: 255,
            ..tcp_flags((source, 40_000), (destination, 80), 0x10)
        };
        let mut runs: Vec<Duration> = (0..200).map(|_| node.cost(program, &frame, HOPS)).collect();
        runs.sort_unstable();
        println!("{program:16} {name:24} {:?}", runs[runs.len() / 2]);
    }
}

#[test]
#[ignore = "a measurement"]
fn the_verifiers_work() {
    let mut node = Node::new();
    for program in [
        "from_container",
        "from_host",
        "from_overlay",
        "from_netdev",
        "to_netdev",
    ] {
        let start = Instant::now();
        let instructions = node.verified(program);
        println!(
            "{program:16} {instructions:>8} instructions, {:?}",
            start.elapsed()
        );
    }
}
