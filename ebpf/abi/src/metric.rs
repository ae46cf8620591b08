//! Counters of `cilium_metrics`, a per-CPU array.

use crate::plain;

/// What is counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    /// Packets; a GSO packet counts once.
    pub packets: u64,
    /// Bytes with the Ethernet header.
    pub bytes: u64,
}

plain!(Metric = 16);

/// Towards a pod or the host.
pub const INGRESS: u8 = 1;
/// Away from a pod or the host.
pub const EGRESS: u8 = 2;

/// Slots of the array.
pub const SLOTS: usize = 1024;

/// The slot of a reason and a direction.
#[inline(always)]
pub const fn slot(reason: u8, direction: u8) -> u32 {
    ((direction as u32 & 3) << 8) | reason as u32
}
