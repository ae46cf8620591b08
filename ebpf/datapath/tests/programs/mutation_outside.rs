//! As `mutation.rs`, for what reaches the node from outside: the one service is reached, everything else is left to the host as it is, and
//! nobody speaks for a pod.

use datapath_abi::ip::IDENTITY_WORLD;
use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason::{FORWARDED, INVALID_SOURCE_IP, TTL_EXCEEDED};
use datapath_abi::service::OUTSIDE;

use crate::frame::{Frame, TCP, UDP, icmp, ip, tcp, udp};
use crate::mutation::{Dice, Pieces, ROUNDS, SEED, change, read};
use crate::node::{DROPPED, NEIGHBOUR, NODE, Node, PASSED, REDIRECTED, WORLD};
use crate::rules::{any, peer};

const PORT: u16 = 30_080;
const BACKEND_PORT: u16 = 8080;

/// What is to become of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The host gets it as it came, uncounted.
    Left,
    Dropped(u8),
    Delivered,
}

fn fate(bytes: &[u8], pieces: &mut Pieces) -> Fate {
    if bytes[12..14] != [8, 0] {
        return Fate::Left;
    }
    // What is in the tunnel is judged where it comes out.
    let to_tunnel = (bytes[14], bytes[23], bytes.get(36..38)) == (0x45, UDP, Some(&[0x21, 0x18]));
    if bytes[30..34] == ip(NODE).octets() && to_tunnel {
        return Fate::Left;
    }
    if bytes[26..28] == [10, 244] && [1, 2].contains(&bytes[28]) {
        return Fate::Dropped(INVALID_SOURCE_IP);
    }
    let asked = read(bytes, pieces, true);
    let served =
        asked.filter(|read| (read.destination, read.protocol, read.port) == (ip(NODE), TCP, PORT));
    match served {
        None => Fate::Left,
        Some(read) if read.ttl <= 1 => Fate::Dropped(TTL_EXCEEDED),
        Some(_) => Fate::Delivered,
    }
}

/// With one service, whose pod takes it from the world and takes nothing else.
fn serving() -> Node {
    const POLICY: u32 = 9;
    let mut node = Node::new();
    node.service_for(OUTSIDE, (NODE, PORT), TCP, &[(NEIGHBOUR, BACKEND_PORT)], 0);
    node.policy(
        POLICY,
        &[
            any(INGRESS, DEFAULT_DENY),
            any(EGRESS, DEFAULT_DENY),
            peer(IDENTITY_WORLD, INGRESS, ALLOW).on(TCP, BACKEND_PORT),
        ],
    );
    node.judge_by(NEIGHBOUR, POLICY);
    node
}

#[test]
fn no_change_of_a_packet_from_outside_gets_it_further_than_to_the_service() {
    let mut node = serving();
    let samples = [
        tcp((WORLD, 40_000), (NODE, PORT)),
        Frame {
            options: vec![1; 8],
            ..tcp((WORLD, 40_001), (NODE, PORT))
        },
        Frame {
            fragment: 0x2000,
            ..tcp((WORLD, 40_002), (NODE, PORT))
        },
        tcp((WORLD, 40_000), (NODE, 22)),
        udp((WORLD, 40_000), (NODE, PORT)),
        udp((WORLD, 40_000), (NODE, 8472)),
        icmp(WORLD, NODE, 8, 1, b"12345678"),
    ];
    let mut dice = Dice(SEED);
    let mut pieces = Pieces::new();
    let mut delivered = 0;
    for round in 0..ROUNDS {
        let mut bytes = samples[dice.below(samples.len())].bytes();
        for _ in 0..dice.below(4) {
            change(&mut dice, &mut bytes);
        }
        let expected = fate(&bytes, &mut pieces);
        let outcome = node.run_bytes("from_netdev", &bytes);
        let what = format!("round {round}: {bytes:02x?}, {expected:?}, {outcome:?}");
        let (verdict, counted) = match expected {
            Fate::Left => (PASSED, None),
            Fate::Dropped(reason) => (DROPPED, Some((reason, INGRESS))),
            Fate::Delivered => (REDIRECTED, Some((FORWARDED, INGRESS))),
        };
        assert_eq!(outcome.verdict, verdict, "{what}");
        assert_eq!(outcome.counted, Vec::from_iter(counted), "{what}");
        assert_eq!(outcome.packets, u64::from(counted.is_some()), "{what}");
        match expected {
            Fate::Left => assert!(outcome.frame == bytes, "{what}"),
            Fate::Dropped(_) => {}
            Fate::Delivered => {
                assert_eq!(outcome.frame[30..34], ip(NEIGHBOUR).octets(), "{what}");
                delivered += 1;
            }
        }
    }
    assert!(
        (ROUNDS / 10..ROUNDS * 9 / 10).contains(&delivered),
        "{delivered}"
    );
}
