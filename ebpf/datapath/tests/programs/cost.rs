//! What a packet costs in each program; printed, not judged: run with `--ignored --nocapture`.

use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};
use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};

use crate::frame::{Frame, tcp_flags};
use crate::node::{
    DROPPED, NEIGHBOUR, NEIGHBOUR_IDENTITY, NODE, Node, POD, POD_IDENTITY, REMOTE, ROUTER, WORLD,
};
use crate::rules::{Rule, any, peer};

/// Not `from_overlay`: a test run has no tunnel, and without one it reads nothing. `network/cost.rs` has it.
#[test]
#[ignore = "a measurement"]
fn a_packet() {
    let mut node = Node::new();
    node.address_back(NEIGHBOUR);
    // What begins is told at once, what goes on every few seconds: with a reader it is other connections.
    for (told, port) in [("", 40_000), ("and told", 40_001)] {
        let ring = (!told.is_empty()).then(|| node.ring());
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
                ..tcp_flags((source, port), (destination, 80), 0x10)
            };
            let [half, fastest] = half_and_fastest(&mut node, program, &frame);
            println!("{program:16} {name:24} {told:9} half {half:?}, fastest {fastest:?}");
            let outcome = node.run(program, &frame);
            assert_ne!(outcome.verdict, DROPPED, "{name}: {outcome:?}");
            assert_eq!(
                node.dropped(),
                0,
                "{name}: not each run was a packet on its way"
            );
        }
        if let Some(mut ring) = ring {
            assert!(ring.next().is_some(), "nobody was told");
            assert_eq!(node.lost(), 0);
        }
    }
}

/// Delivery counts down the TTL of the one packet that is run again and again.
const HOPS: u32 = 200;

/// The same runs by the kernel's count, which is all there is of live packets: it reads a clock at each.
#[test]
#[ignore = "a measurement"]
fn a_packet_with_the_kernels_clock() {
    let mut node = Node::new();
    let frame = Frame {
        ttl: 255,
        ..tcp_flags((POD, 40_000), (REMOTE, 80), 0x10)
    };
    let [without, _] = half_and_fastest(&mut node, "from_container", &frame);
    let _counting = enable_stats(Stats::RunTime).unwrap();
    let mut runs: Vec<Duration> = (0..200)
        .map(|_| {
            let (count, time) = node.counted_runs("from_container");
            node.cost("from_container", &frame, HOPS);
            let (count_after, time_after) = node.counted_runs("from_container");
            time_after.saturating_sub(time) / u32::try_from(count_after - count).unwrap()
        })
        .collect();
    runs.sort_unstable();
    println!(
        "{:16} {:24} {:9} half {:?}, fastest {:?}; without the clock half {without:?}",
        "from_container",
        "to another node",
        "clocked",
        runs[runs.len() / 2],
        runs[0]
    );
}

fn half_and_fastest(node: &mut Node, program: &str, frame: &Frame) -> [Duration; 2] {
    let mut runs: Vec<Duration> = (0..200).map(|_| node.cost(program, frame, HOPS)).collect();
    runs.sort_unstable();
    [runs[runs.len() / 2], runs[0]]
}

/// Each run is the first packet of a new epoch, so that each is judged by both pods' policies.
#[test]
#[ignore = "a measurement"]
fn a_judged_packet_by_the_size_of_the_policies() {
    const POLICY: u32 = 7;
    const RUNS: usize = 2_000;
    let mut node = Node::new();
    let frame = tcp_flags((POD, 40_000), (NEIGHBOUR, 80), 0x10);
    for size in [0, 1, 100, 1_000] {
        let policy: Vec<Rule> = [INGRESS, EGRESS]
            .into_iter()
            .flat_map(|direction| rules(direction, size))
            .collect();
        node.policy(POLICY, &policy);
        for pod in [POD, NEIGHBOUR] {
            node.judge_by(pod, POLICY);
        }
        let mut runs: Vec<Duration> = (0..RUNS)
            .map(|_| {
                node.new_epoch();
                node.cost("from_container", &frame, 1)
            })
            .collect();
        runs.sort_unstable();
        println!(
            "{:16} {:24} half {:?}, fastest {:?}",
            "from_container",
            format!("judged, {size} policies"),
            runs[RUNS / 2],
            runs[0]
        );
        assert_eq!(node.dropped(), 0, "not each run was a packet on its way");
    }
}

/// Without policies everything passes; each policy opens a port, the first one the measured one.
fn rules(direction: u8, size: u16) -> Vec<Rule> {
    let everyone = if size == 0 { ALLOW } else { DEFAULT_DENY };
    let port = |number: u16| if number == 0 { 80 } else { 20_000 + number };
    let opened = (0..size).flat_map(|number| {
        let peers = [NEIGHBOUR_IDENTITY, POD_IDENTITY];
        peers.map(|identity| peer(identity, direction, ALLOW).on(6, port(number)))
    });
    opened.chain([any(direction, everyone)]).collect()
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
