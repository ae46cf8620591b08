//! Connections the node knows: key and value of `cilium_ct4_global`.

use crate::plain;

/// A connection, the same whichever way a packet of it goes: the end with the smaller (address, port) comes first.
///
/// Addresses have four bytes here: the key is hashed for every packet, and the map's name says IPv4.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Addresses of both ends.
    pub address: [u32; 2],
    /// Their ports; for an ICMP echo the identifier at the end that asks, else 0.
    pub port: [u16; 2],
    /// IP protocol.
    pub protocol: u8,
    /// What ports do not tell apart: see [`ECHO_OF_FIRST`].
    pub kind: u8,
    /// Type of any other ICMP message.
    pub icmp_type: u8,
    /// Zero.
    pub pad: u8,
}

impl Key {
    /// The key of a packet's connection, and which end of it is the packet's source. Ports as in [`Key::port`]; the ICMP type
    /// counts only with that protocol.
    #[inline(always)]
    pub const fn of(
        source: (u32, u16),
        destination: (u32, u16),
        protocol: u8,
        icmp_type: u8,
    ) -> (Self, u8) {
        let one_way = protocol == ICMP && icmp_type != ECHO_REQUEST && icmp_type != ECHO_REPLY;
        let swap = !one_way
            && (source.0 > destination.0
                || (source.0 == destination.0 && source.1 > destination.1));
        let (first, second) = if swap {
            (destination, source)
        } else {
            (source, destination)
        };
        let kind = if protocol != ICMP {
            0
        } else if one_way {
            ONE_WAY
        } else if swap == (icmp_type == ECHO_REPLY) {
            ECHO_OF_FIRST
        } else {
            ECHO_OF_SECOND
        };
        let key = Self {
            address: [first.0, second.0],
            port: [first.1, second.1],
            protocol,
            kind,
            icmp_type: if one_way { icmp_type } else { 0 },
            pad: 0,
        };
        (key, swap as u8)
    }
}

const ICMP: u8 = 1;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// An ICMP echo that the first end asked for. Two ends that ask each other with one identifier are two connections.
pub const ECHO_OF_FIRST: u8 = 1;
/// An ICMP echo that the second end asked for.
pub const ECHO_OF_SECOND: u8 = 2;
/// Any other ICMP message. It has no answer: the source comes first, and the way back is another connection.
pub const ONE_WAY: u8 = 3;

/// What is known of a connection. Arrays have the originator's direction first, the replies' second.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Nanoseconds of the monotonic clock at which it ends.
    pub expires: u64,
    /// Nanoseconds of the same clock at which it began.
    pub created: u64,
    /// Packets; a GSO packet counts once.
    pub packets: [u64; 2],
    /// Bytes with the Ethernet header.
    pub bytes: [u64; 2],
    /// Seconds of the monotonic clock at the last trace.
    pub reported: [u32; 2],
    /// Security identities of originator and responder when they were last judged.
    pub identity: [u32; 2],
    /// The node's policies at this epoch allow it.
    pub epoch: u32,
    /// TCP flags seen.
    pub flags: [u8; 2],
    /// Which end of the key began: 0 or 1.
    pub origin: u8,
    /// [`SEEN_REPLY`], [`CLOSING`], [`OPEN`].
    pub bits: u8,
}

plain!(Key = 16, State = 72);

/// The responder has answered.
pub const SEEN_REPLY: u8 = 1;
/// A FIN of both sides or an RST was seen.
pub const CLOSING: u8 = 2;
/// A TCP connection that was answered and has gone on since.
pub const OPEN: u8 = 4;

/// Index of the originator's direction.
pub const ORIGINAL: usize = 0;
/// Index of the replies' direction.
pub const REPLY: usize = 1;

/// Entries of `cilium_ct4_global`.
pub const MAX_FLOWS: usize = 512 * 1024;

const SECOND: u64 = 1_000_000_000;
/// How long a TCP connection lives that was not answered yet.
pub const TCP_SYN: u64 = 60 * SECOND;
/// How long an open TCP connection lives without a packet.
pub const TCP_OPEN: u64 = 8000 * SECOND;
/// How long a TCP connection lives once it closes.
pub const TCP_CLOSING: u64 = 10 * SECOND;
/// How long anything else lives without a packet.
pub const OTHER: u64 = 60 * SECOND;
/// Seconds between two traces of one direction that show nothing new.
pub const REPORT_SECONDS: u32 = 5;
