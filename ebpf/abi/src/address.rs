//! Addresses as keys.

use crate::plain;

/// An IPv6 or IPv4-mapped address, bytes in network order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The address as four words, each holding its bytes in network order.
    pub words: [u32; 4],
}

plain!(Address = 16);

const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

/// Bits of an IPv4-mapped prefix before the IPv4 part.
pub const MAPPED_BITS: u32 = 96;

impl Address {
    /// The mapped form of an IPv4 address given as in a packet: four bytes in network order.
    #[inline(always)]
    pub const fn v4(network_order: u32) -> Self {
        Self {
            words: [0, 0, MAPPED, network_order],
        }
    }

    /// The IPv4 address as in a packet; meaningless for an IPv6 address.
    #[inline(always)]
    pub const fn to_v4(self) -> u32 {
        self.words[3]
    }
}
