//! Pods on this node.

use crate::{address::Address, plain};

/// Value of `cilium_lxc`, keyed by the pod's [`Address`]: how to reach it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Nanoseconds of the coarse monotonic clock at which this link got the address: connections that began earlier were another
    /// pod's.
    pub since: u64,
    /// Host side of the pod's link.
    pub ifindex: u32,
    /// Security identity.
    pub identity: u32,
    /// Number of the policy that judges it; 0: none does, and everything is dropped.
    pub policy: u32,
    /// Endpoint number.
    pub id: u16,
    /// Pod side's Ethernet address.
    pub mac: [u8; 6],
    /// Host side's Ethernet address.
    pub host_mac: [u8; 6],
    /// 1 once the pod has reached a service packet by packet, so that answers to all other pods cost no lookup. Set by the
    /// programs; user space keeps what it finds.
    pub service_client: u16,
    /// Zero.
    pub pad: u32,
}

/// Value of `cilium_lxc_source`, keyed by the interface index of the host side: what the pod may send as.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The only source address.
    pub address: Address,
    /// Security identity.
    pub identity: u32,
    /// Number of the policy that judges it; 0: none does, and everything is dropped.
    pub policy: u32,
    /// Endpoint number.
    pub id: u16,
    /// The only Ethernet source.
    pub mac: [u8; 6],
}

/// Value of `cilium_lxc_tenure`, keyed by the pod's [`Address`]: whose it is, and since when. User space's own; it lies with the
/// connections, whose age it is compared with, and so outlives a change of [`Endpoint`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// As [`Endpoint::since`].
    pub since: u64,
    /// Host side of the pod's link.
    pub ifindex: u32,
    /// Endpoint number.
    pub id: u16,
    /// Pod side's Ethernet address.
    pub mac: [u8; 6],
    /// Zero.
    pub pad: u32,
}

plain!(Endpoint = 40, Source = 32, Tenure = 24);

/// Entries of both maps.
pub const MAX_ENDPOINTS: usize = 4096;
