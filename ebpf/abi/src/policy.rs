//! What a policy says about a peer, and how the programs find it.

use crate::plain;

/// Key of a policy's LPM trie. The first [`EXACT_BITS`] always count; protocol and port may be cut short.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Security identity of the peer, or what stands for many: see [`CLUSTER`], [`block_of_world`]; 0: any.
    pub identity: u32,
    /// [`crate::metric::INGRESS`] or [`crate::metric::EGRESS`], as seen by the pod.
    pub direction: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the end that is reached; the type of an ICMP message.
    pub port: u16,
}

/// Value of a policy's trie: the verdict, and enough of the key to say what matched.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the rules that made the entry; only user space knows what it means.
    pub cookie: u32,
    /// [`DEFAULT_DENY`], [`ALLOW`] or [`DENY`].
    pub verdict: u8,
    /// The key's protocol; 0: any.
    pub protocol: u8,
    /// Leading bits of the key's port that count.
    pub port_bits: u8,
    /// Zero.
    pub pad: u8,
}

plain!(Key = 8, Entry = 8);

/// Nothing allows it. Verdicts ascend: of several lookups the highest wins.
pub const DEFAULT_DENY: u8 = 0;
/// A rule allows it.
pub const ALLOW: u8 = 1;
/// A rule forbids it, whatever allows it.
pub const DENY: u8 = 2;

/// Bits of a key that always count: identity and direction.
pub const EXACT_BITS: u32 = 40;
/// Bits with the protocol.
pub const PROTOCOL_BITS: u32 = 48;
/// Bits with all of the port.
pub const ALL_BITS: u32 = 64;

/// Entries of one policy.
pub const MAX_ENTRIES: usize = 16_384;
/// Policies of a node: one per pod if all differ, and as many again while they are exchanged.
pub const MAX_POLICIES: usize = 2 * crate::endpoint::MAX_ENDPOINTS;
/// Entries of `cilium_blocks`.
pub const MAX_BLOCKS: usize = 64 * 1024;

/// Stands for every identity but the world's.
pub const CLUSTER: u32 = 11;

/// The identity of block `number` for addresses outside the cluster.
#[inline(always)]
pub const fn block_of_world(number: u32) -> u32 {
    1 << 24 | number
}

/// The identity of block `number` for addresses inside the cluster.
#[inline(always)]
pub const fn block_of_cluster(number: u32) -> u32 {
    3 << 24 | number
}

/// Largest number of a block.
pub const MAX_BLOCK: u32 = (1 << 24) - 1;

/// Cilium's numbers for what part of a key matched.
pub mod matched {
    /// No entry.
    pub const NONE: u8 = 0;
    /// The peer.
    pub const L3_ONLY: u8 = 1;
    /// Peer, protocol and port.
    pub const L3_L4: u8 = 2;
    /// Protocol and port.
    pub const L4_ONLY: u8 = 3;
    /// An entry for everything.
    pub const ALL: u8 = 4;
    /// Peer and protocol.
    pub const L3_PROTOCOL: u8 = 5;
    /// Protocol.
    pub const PROTOCOL_ONLY: u8 = 6;
}

/// What part of a key an entry was found by.
#[inline(always)]
pub const fn match_type(any_peer: bool, entry: &Entry) -> u8 {
    match (any_peer, entry.protocol, entry.port_bits) {
        (true, 0, _) => matched::ALL,
        (true, _, 0) => matched::PROTOCOL_ONLY,
        (true, ..) => matched::L4_ONLY,
        (false, 0, _) => matched::L3_ONLY,
        (false, _, 0) => matched::L3_PROTOCOL,
        (false, ..) => matched::L3_L4,
    }
}
