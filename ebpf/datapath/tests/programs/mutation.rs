//! Valid packets changed at random, against a second opinion that was written from the RFCs: what may pass passes, nothing else does, and
//! every packet is counted once. The seed is fixed: a failure comes back.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use datapath_abi::metric::{EGRESS, INGRESS};
use datapath_abi::policy::{ALLOW, DEFAULT_DENY};
use datapath_abi::reason;

use crate::frame::{Frame, SCTP, TCP, UDP, icmp, ip, tcp, udp};
use crate::node::{
    DROPPED, NEIGHBOUR, NEIGHBOUR_IDENTITY, Node, POD, POD_MAC, REDIRECTED, REMOTE,
    REMOTE_IDENTITY, WORLD,
};
use crate::rules::{any, peer};

pub(crate) const ROUNDS: u32 = 6000;

pub(crate) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// xorshift64 (Marsaglia 2003).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

pub(crate) fn change(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let short = |bytes: &mut Vec<u8>, at: usize, value: u16| {
        if let Some(place) = bytes.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    };
    let length = u16::try_from(bytes.len() - 14).unwrap();
    match dice.below(11) {
        0 => {
            let at = dice.below(bytes.len());
            bytes[at] = dice.byte();
        }
        1 => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        2 => {
            let value = dice.of(&[
                0,
                19,
                20,
                24,
                27,
                28,
                39,
                40,
                length - 1,
                length,
                length + 1,
            ]);
            short(bytes, 16, value);
        }
        3 => {
            let value = dice.of(&[0, 0x4000, 0x2000, 0x2001, 1, 2, 3, 0x1fff, 0x8000]);
            short(bytes, 20, value);
        }
        4 => bytes[23] = dice.of(&[0, 1, 2, 4, TCP, UDP, 41, 47, 50, SCTP, 255]),
        5 => bytes[14] = dice.of(&[0x44, 0x45, 0x46, 0x47, 0x4f, 0x55, 0x65]),
        6 => {
            let to = dice.of(&[POD, NEIGHBOUR, REMOTE, WORLD, "10.244.1.99", "172.30.0.11"]);
            let at = dice.of(&[26, 30]);
            bytes[at..at + 4].copy_from_slice(&ip(to).octets());
        }
        7 => {
            let at = dice.of(&[34, 36, 38, 40, 46]);
            let value = dice.of(&[0, 7, 8, 53, 80, 8472, 0x5002, 0x4002, 0xf002, 0xffff]);
            short(bytes, at, value);
        }
        8 => {
            let keep = 34 + dice.below(bytes.len() - 33);
            bytes.truncate(keep);
        }
        9 => bytes.resize(bytes.len() + dice.below(40), 0),
        _ => bytes[22] = dice.of(&[0, 1, 2, 255]),
    }
}

/// Both ports by addresses, identification and protocol: of datagrams whose first fragment came by.
pub(crate) type Pieces = BTreeMap<(Ipv4Addr, Ipv4Addr, u16, u8), (u16, u16)>;

#[derive(Debug)]
pub(crate) struct Read {
    source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) port: u16,
    pub(crate) ttl: u8,
}

/// `None`: a packet that is not to be trusted, or whose ports nobody knows.
pub(crate) fn read(bytes: &[u8], pieces: &mut Pieces, settle: bool) -> Option<Read> {
    let packet = bytes.get(14..)?;
    let short = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let header = usize::from(packet[0] & 15) * 4;
    let total = usize::from(short(2));
    if packet[0] >> 4 != 4 || header < 20 || total < header || total > packet.len() {
        return None;
    }
    let (more, offset) = (short(6) & 0x2000 != 0, usize::from(short(6) & 0x1fff) * 8);
    let payload = &packet[header..total];
    let read = |port| Read {
        source: address(12),
        destination: address(16),
        protocol: packet[9],
        port,
        ttl: packet[8],
    };
    let piece = (address(12), address(16), short(4), packet[9]);
    if offset > 0 {
        // RFC 3128: what reaches into the ports and flags is no fragment anybody honest makes.
        let covers = match packet[9] {
            TCP => offset < 20,
            SCTP => offset < 12,
            _ => false,
        };
        return (!covers)
            .then(|| pieces.get(&piece))?
            .map(|ports| read(ports.1));
    }
    let (minimum, stated) = match packet[9] {
        TCP => (
            20,
            payload.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4),
        ),
        UDP => (
            8,
            payload
                .get(4..6)
                .map_or(0, |b| usize::from(b[0]) << 8 | usize::from(b[1])),
        ),
        SCTP => (12, 12),
        1 => (8, 8),
        _ => (0, 0),
    };
    if payload.len() < minimum || stated < minimum || (!more && stated > payload.len()) {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    let ports = match packet[9] {
        TCP | UDP | SCTP => (port(0), port(2)),
        _ => (0, 0),
    };
    if more && settle {
        pieces.insert(piece, ports);
    }
    Some(read(ports.1))
}

/// May the pod send it?
fn may_leave(bytes: &[u8], pieces: &mut Pieces) -> bool {
    if bytes[6..12] != POD_MAC || bytes[12..14] != [8, 0] {
        return false;
    }
    let own = bytes[26..30] == ip(POD).octets();
    let Some(read) = read(bytes, pieces, own) else {
        return false;
    };
    let to = |pod| read.destination == ip(pod);
    let elsewhere = read.destination.octets()[..3] == [10, 244, 2];
    let allowed = to(POD)
        || to(NEIGHBOUR) && (read.protocol, read.port) == (TCP, 80)
        || elsewhere && (read.protocol, read.port) == (UDP, 53);
    own && allowed && (elsewhere || read.ttl > 1)
}

/// May it reach a pod from the stack, or another node?
fn may_arrive(bytes: &[u8], pieces: &mut Pieces) -> bool {
    if bytes[12..14] != [8, 0] {
        return false;
    }
    let destination = &bytes[30..34];
    // The device is the first pod's link: nobody else of the node's range speaks there, but for the router.
    let forged = bytes[26..29] == [10, 244, 1] && ![1, 10].contains(&bytes[29]);
    if forged {
        return false;
    }
    let ours = destination == ip(POD).octets() || destination == ip(NEIGHBOUR).octets();
    let Some(read) = read(bytes, pieces, ours) else {
        // Fragments to other nodes are theirs to judge.
        return destination[..3] == [10, 244, 2]
            && bytes[20] & 0x1f | bytes[21] != 0
            && read(bytes, &mut everything(bytes), false).is_some();
    };
    let remote = read.source.octets()[..3] == [10, 244, 2];
    read.destination == ip(NEIGHBOUR)
        || read.destination.octets()[..3] == [10, 244, 2]
        || read.destination == ip(POD) && remote && (read.protocol, read.port) == (TCP, 80)
}

/// As if the first fragment of this very datagram had come by.
fn everything(bytes: &[u8]) -> Pieces {
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap());
    let id = u16::from_be_bytes([bytes[18], bytes[19]]);
    Pieces::from([((address(26), address(30), id, bytes[23]), (0, 0))])
}

fn try_all(
    node: &mut Node,
    samples: &[Frame],
    run: fn(&mut Node, &[u8]) -> crate::outcome::Outcome,
    may: fn(&[u8], &mut Pieces) -> bool,
) {
    let mut dice = Dice(SEED);
    let mut pieces = Pieces::new();
    let mut passed = 0;
    for round in 0..ROUNDS {
        let mut bytes = samples[dice.below(samples.len())].bytes();
        for _ in 0..dice.below(4) {
            change(&mut dice, &mut bytes);
        }
        let expected = may(&bytes, &mut pieces);
        let outcome = run(node, &bytes);
        let what = format!("round {round}: {bytes:02x?}, {outcome:?}");
        assert_eq!(outcome.packets, 1, "{what}");
        let goes_on = matches!(outcome.counted[..], [(reason::FORWARDED, _)]);
        // The only thing that goes on after a drop is the word of it, and only to the sender.
        let told = !goes_on && outcome.verdict == REDIRECTED && outcome.answers(&bytes);
        let wanted = if goes_on || told { REDIRECTED } else { DROPPED };
        assert_eq!(outcome.verdict, wanted, "{what}");
        assert_eq!(goes_on, expected, "{what}");
        passed += u32::from(expected);
    }
    assert!((ROUNDS / 10..ROUNDS * 9 / 10).contains(&passed), "{passed}");
}

#[test]
fn no_change_of_a_packet_lets_a_pod_send_what_it_may_not() {
    let mut node = Node::new();
    node.policy(
        9,
        &[
            any(EGRESS, DEFAULT_DENY),
            any(INGRESS, DEFAULT_DENY),
            peer(NEIGHBOUR_IDENTITY, EGRESS, ALLOW).on(TCP, 80),
            peer(REMOTE_IDENTITY, EGRESS, ALLOW).on(UDP, 53),
        ],
    );
    node.judge_by(POD, 9);
    let samples = [
        tcp((POD, 40_000), (NEIGHBOUR, 80)),
        Frame {
            options: vec![1; 8],
            ..tcp((POD, 40_001), (NEIGHBOUR, 80))
        },
        Frame {
            fragment: 0x2000,
            ..tcp((POD, 40_002), (NEIGHBOUR, 80))
        },
        udp((POD, 40_000), (REMOTE, 53)),
        udp((POD, 40_000), (WORLD, 53)),
        icmp(POD, NEIGHBOUR, 8, 1, b"12345678"),
    ];
    try_all(
        &mut node,
        &samples,
        |node, bytes| node.run_bytes("from_container", bytes),
        may_leave,
    );
}

#[test]
fn no_change_of_a_packet_lets_it_reach_a_pod_that_may_not_get_it() {
    let mut node = Node::new();
    node.policy(
        9,
        &[
            any(INGRESS, DEFAULT_DENY),
            any(EGRESS, ALLOW),
            peer(REMOTE_IDENTITY, INGRESS, ALLOW).on(TCP, 80),
        ],
    );
    node.judge_by(POD, 9);
    let samples = [
        tcp((REMOTE, 40_000), (POD, 80)),
        Frame {
            options: vec![1; 8],
            ..tcp((REMOTE, 40_001), (POD, 80))
        },
        Frame {
            fragment: 0x2000,
            ..tcp((REMOTE, 40_002), (POD, 80))
        },
        tcp((WORLD, 40_000), (POD, 80)),
        udp((REMOTE, 40_000), (POD, 53)),
        icmp(WORLD, POD, 8, 1, b"12345678"),
    ];
    try_all(&mut node, &samples, Node::run_bytes_forwarded, may_arrive);
}
