//! What one policy map holds, as the kernel reads it.
//!
//! A map is one longest-prefix trie. Identity and direction always match exactly, then protocol, then the leading bits of
//! the port. Per packet the kernel asks for the peer's identity, its aggregate, its block and identity 0; each answer is
//! the longest prefix there, and of the answers the highest [`Verdict`] wins. Hence the invariant of every [`MapState`]:
//! within one identity and direction a longer prefix never says less than a shorter one.

use std::collections::BTreeMap;

/// Which way the packet goes, seen from the endpoint that has the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Towards the endpoint.
    Ingress,
    /// From the endpoint.
    Egress,
}

impl Direction {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];
}

/// Key of a policy map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The peer: an identity, an aggregate, a block, or 0 for everyone.
    pub identity: u32,
    /// Which way the packet goes.
    pub direction: Direction,
    /// IP protocol; 0 is any.
    pub protocol: u8,
    /// Destination port in host order, or the ICMP type; bits beyond `port_bits` are 0.
    pub port: u16,
    /// Leading bits of the port that count, 0..=16; 0 if the protocol is any.
    pub port_bits: u8,
}

impl Key {
    /// Number of the block the key speaks of, if it speaks of one.
    pub const fn block(&self) -> Option<u32> {
        match self.identity >> 24 {
            1 | 3 => Some(self.identity & 0x00ff_ffff),
            _ => None,
        }
    }
}

/// What happens to a packet; of several answers the highest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing allows it and a policy isolates the endpoint.
    DefaultDeny,
    /// Passes.
    Allow,
    /// A policy forbids it.
    Deny,
}

/// A set of policies, as a number the kernel can carry; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cookie(pub u32);

/// Value of a policy map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What happens.
    pub verdict: Verdict,
    /// The policies that led to it.
    pub cookie: Cookie,
}

/// Content of one policy map.
pub type MapState = BTreeMap<Key, Entry>;

/// Everyone.
pub const ANYONE: u32 = 0;
/// Every address outside the cluster; the aggregate of [`cilium_api::NumericIdentity::WORLD`].
pub const WORLD: u32 = 2;
/// Aggregate of everything in the cluster: pods, nodes, and what else has an identity other than world.
pub const CLUSTER: u32 = 11;

/// Identity of block `number` for an address outside the cluster.
pub const fn world_block(number: u32) -> u32 {
    1 << 24 | number
}

/// Identity of block `number` for an address of a pod or node.
pub const fn cluster_block(number: u32) -> u32 {
    3 << 24 | number
}
