//! ARP from a pod. Its gateway is set as a permanent neighbour, so it has little to ask; what it may ask, the stack answers.

use aya_ebpf::programs::TcContext;
use datapath_abi::endpoint::Source;
use datapath_abi::reason;

use super::packet::{ETHERNET, at, same_mac};
use super::verdict::{PASS, Verdict};
use crate::config::ROUTER_IP;

/// ARP for IPv4 over Ethernet (RFC 826).
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Arp {
    hardware: u16,
    protocol: u16,
    lengths: [u8; 2],
    operation: u16,
    sender_mac: [u8; 6],
    sender_ip: u32,
    target_mac: [u8; 6],
    target_ip: u32,
}

/// Lets a pod speak of itself only: a question about the router, or an answer to the host.
#[inline(always)]
pub(crate) fn from_pod(ctx: &TcContext, source: &Source) -> Verdict {
    const REQUEST: u16 = 1_u16.to_be();
    const REPLY: u16 = 2_u16.to_be();
    let arp = at::<Arp>(ctx, ETHERNET).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds.
    let arp = unsafe { *arp };
    if !same_mac(arp.sender_mac, source.mac) {
        return Err(reason::INVALID_SOURCE_MAC);
    }
    if arp.sender_ip != source.address.to_v4() {
        return Err(reason::INVALID_SOURCE_IP);
    }
    match arp.operation {
        REQUEST if arp.target_ip == ROUTER_IP.load() => Ok(PASS),
        REPLY => Ok(PASS),
        _ => Err(reason::UNSUPPORTED_L2),
    }
}
