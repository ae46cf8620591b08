//! The way to ask the kernel for verdicts says what the kernel says. Needs root.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use datapath::testing::{Judge, Packet};
use datapath::{Direction, PolicyEntry, PolicyKey, Verdict};

fn entry(
    identity: u32,
    direction: Direction,
    protocol: u8,
    port: u16,
    verdict: Verdict,
) -> (PolicyKey, PolicyEntry) {
    let key = PolicyKey {
        identity,
        direction,
        protocol,
        port,
        port_bits: if port == 0 { 0 } else { 16 },
    };
    (key, PolicyEntry { verdict, cookie: 0 })
}

/// Where a test's one block is, and an address outside of it.
const BLOCK: &str = "10.7.0.0/16";
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 7, 1, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 8, 1, 1);

fn packet(direction: Direction, peer: u32, address: Ipv4Addr, protocol: u8, port: u16) -> Packet {
    Packet {
        direction,
        peer,
        address,
        protocol,
        port,
    }
}

#[test]
fn every_verdict_is_told_apart_in_both_directions_and_for_every_protocol() {
    let mut judge = Judge::new().unwrap();
    judge
        .set_blocks(&BTreeMap::from([(BLOCK.parse().unwrap(), 5)]))
        .unwrap();
    for direction in [Direction::Ingress, Direction::Egress] {
        judge
            .set_policy(&BTreeMap::from([
                entry(0, direction, 6, 80, Verdict::Allow),
                entry(0, direction, 17, 0, Verdict::DefaultDeny),
                entry(1 << 24 | 5, direction, 6, 80, Verdict::Deny),
                entry(3 << 24 | 5, direction, 132, 9, Verdict::Allow),
                entry(1, direction, 1, 8, Verdict::Deny),
                entry(11, direction, 47, 0, Verdict::Allow),
            ]))
            .unwrap();
        // Nothing keeps the host from its pods.
        let host = (direction == Direction::Ingress).then_some(Verdict::Allow);
        for (peer, address, protocol, port, verdict) in [
            (2, OUTSIDE, 6, 80, Some(Verdict::Allow)),
            (2, INSIDE, 6, 80, Some(Verdict::Deny)),
            (300, INSIDE, 6, 80, Some(Verdict::Allow)),
            (300, INSIDE, 132, 9, Some(Verdict::Allow)),
            (300, OUTSIDE, 132, 9, None),
            (2, OUTSIDE, 17, 53, Some(Verdict::DefaultDeny)),
            (1, OUTSIDE, 1, 8, host.or(Some(Verdict::Deny))),
            (1, OUTSIDE, 1, 0, host),
            (300, OUTSIDE, 1, 8, None),
            (300, OUTSIDE, 47, 0, Some(Verdict::Allow)),
            (2, OUTSIDE, 47, 0, None),
        ] {
            let asked = packet(direction, peer, address, protocol, port);
            assert_eq!(judge.ask(&asked).unwrap(), verdict, "{asked:?}");
        }
    }
}

#[test]
fn of_ranges_inside_each_other_the_narrowest_around_an_address_is_its_block() {
    const NESTED: [(&str, u32); 4] = [
        ("0.0.0.0/0", 1),
        ("203.0.113.0/24", 2),
        ("203.0.113.128/25", 3),
        ("203.0.113.130/32", 4),
    ];
    let mut judge = Judge::new().unwrap();
    // Which block it is shows in the port that is open.
    let policy = NESTED.map(|(_, number)| {
        let port = u16::try_from(number).unwrap();
        entry(3 << 24 | number, Direction::Egress, 6, port, Verdict::Allow)
    });
    judge.set_policy(&policy.into()).unwrap();
    let mut block_of = |held: &[(&str, u32)], last: &str| {
        let blocks = held
            .iter()
            .map(|(range, number)| (range.parse().unwrap(), *number));
        judge.set_blocks(&blocks.collect()).unwrap();
        let address = format!("203.0.{last}").parse().unwrap();
        let open = (1..=4).filter(|port| {
            let asked = packet(Direction::Egress, 300, address, 6, *port);
            judge.ask(&asked).unwrap() == Some(Verdict::Allow)
        });
        open.collect::<Vec<_>>()
    };
    for (last, widest_first) in [
        ("113.130", [1, 2, 3, 4]),
        ("113.131", [1, 2, 3, 3]),
        ("113.127", [1, 2, 2, 2]),
        ("112.130", [1, 1, 1, 1]),
    ] {
        assert_eq!(block_of(&[], last), []);
        // One after the other comes, and one after the other goes.
        for held in [1, 2, 3, 4, 3, 2, 1] {
            assert_eq!(
                block_of(&NESTED[..held], last),
                [widest_first[held - 1]],
                "{last}"
            );
        }
    }
}

#[test]
fn a_question_is_not_answered_by_a_connection_that_an_earlier_one_began() {
    let mut judge = Judge::new().unwrap();
    // Without ports there is one connection between two addresses, whoever begins it.
    for protocol in [6, 47] {
        for (out, back) in [
            (Verdict::Allow, Verdict::Deny),
            (Verdict::Deny, Verdict::Allow),
        ] {
            judge
                .set_policy(&BTreeMap::from([
                    entry(0, Direction::Egress, protocol, 0, out),
                    entry(0, Direction::Ingress, protocol, 0, back),
                ]))
                .unwrap();
            for (direction, verdict) in [(Direction::Egress, out), (Direction::Ingress, back)] {
                let asked = packet(direction, 300, OUTSIDE, protocol, 0);
                assert_eq!(judge.ask(&asked).unwrap(), Some(verdict), "{asked:?}");
            }
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn verdicts_per_second() {
    const MANY: u32 = 20_000;
    let mut judge = Judge::new().unwrap();
    let allow = entry(0, Direction::Egress, 6, 80, Verdict::Allow);
    judge.set_policy(&BTreeMap::from([allow])).unwrap();
    let start = Instant::now();
    for peer in 0..MANY {
        let asked = packet(Direction::Egress, 256 + peer, OUTSIDE, 6, 80);
        assert_eq!(judge.ask(&asked).unwrap(), Some(Verdict::Allow));
    }
    println!(
        "{:.0} a second",
        f64::from(MANY) / start.elapsed().as_secs_f64()
    );
}
