//! The way to ask the kernel for verdicts says what the kernel says. Needs root.

use std::collections::BTreeMap;
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

fn packet(direction: Direction, peer: u32, block: u32, protocol: u8, port: u16) -> Packet {
    Packet {
        direction,
        peer,
        block,
        protocol,
        port,
    }
}

#[test]
fn every_verdict_is_told_apart_in_both_directions_and_for_every_protocol() {
    let mut judge = Judge::new().unwrap();
    for direction in [Direction::Ingress, Direction::Egress] {
        judge
            .set_policy(&BTreeMap::from([
                entry(0, direction, 6, 80, Verdict::Allow),
                entry(0, direction, 17, 0, Verdict::DefaultDeny),
                entry(1 << 24 | 5, direction, 6, 80, Verdict::Deny),
                entry(3 << 24 | 5, direction, 132, 9, Verdict::Allow),
                entry(1, direction, 1, 8, Verdict::Allow),
                entry(11, direction, 47, 0, Verdict::Allow),
            ]))
            .unwrap();
        for (peer, block, protocol, port, verdict) in [
            (2, 0, 6, 80, Some(Verdict::Allow)),
            (2, 5, 6, 80, Some(Verdict::Deny)),
            (300, 5, 6, 80, Some(Verdict::Allow)),
            (300, 5, 132, 9, Some(Verdict::Allow)),
            (300, 0, 132, 9, None),
            (2, 0, 17, 53, Some(Verdict::DefaultDeny)),
            (1, 0, 1, 8, Some(Verdict::Allow)),
            (1, 0, 1, 0, None),
            (300, 0, 1, 8, None),
            (300, 0, 47, 0, Some(Verdict::Allow)),
            (2, 0, 47, 0, None),
        ] {
            let asked = packet(direction, peer, block, protocol, port);
            assert_eq!(judge.ask(&asked).unwrap(), verdict, "{asked:?}");
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
        let asked = packet(Direction::Egress, 256 + peer, 0, 6, 80);
        assert_eq!(judge.ask(&asked).unwrap(), Some(Verdict::Allow));
    }
    println!(
        "{:.0} a second",
        f64::from(MANY) / start.elapsed().as_secs_f64()
    );
}
