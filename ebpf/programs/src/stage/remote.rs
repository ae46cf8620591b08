//! The way that packets of pods go to other nodes in this cluster.

use aya_ebpf::helpers::bpf_check_mtu;
use aya_ebpf::programs::TcContext;
use datapath_abi::{event, reason};

use super::packet::{ETHERNET, Ipv4, at};
use super::verdict::Verdict;
use super::{direct, encapsulate};
use crate::config::{DIRECT_IFINDEX, TUNNEL_IFINDEX};

const DONT_FRAGMENT: u16 = 0x4000_u16.to_be();
/// Looks at the pieces of a packet that hardware will cut (`BPF_MTU_CHK_SEGS`, linux/bpf.h).
const SEGMENTS: u64 = 1;
/// What every link carries (RFC 791 3.1), with the Ethernet header.
const ALWAYS_FITS: u32 = 576 + ETHERNET as u32;

/// Where a packet on this way is observed.
#[inline(always)]
pub(crate) fn point() -> u8 {
    if direct::is_on() {
        event::point::TO_NETWORK
    } else {
        event::point::TO_OVERLAY
    }
}

/// The device of this way, for both directions.
#[inline(always)]
pub(crate) fn device() -> u32 {
    if direct::is_on() {
        DIRECT_IFINDEX.load()
    } else {
        TUNNEL_IFINDEX.load()
    }
}

/// Whether a packet fits the way as it is. If it does not and must not be cut, that is the reason to drop it.
#[inline(always)]
pub(crate) fn fits(ctx: &TcContext) -> Result<bool, u8> {
    if ctx.len() <= ALWAYS_FITS {
        return Ok(true);
    }
    let (device, mut mtu) = (device(), 0);
    // SAFETY: a plain helper call; it writes the number.
    let checked = unsafe { bpf_check_mtu(ctx.skb.skb.cast(), device, &raw mut mtu, 0, SEGMENTS) };
    if checked == 0 {
        return Ok(true);
    }
    let ip = at::<Ipv4>(ctx, ETHERNET).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds.
    if unsafe { (*ip).fragment } & DONT_FRAGMENT != 0 {
        return Err(reason::FRAGMENTATION_NEEDED);
    }
    Ok(false)
}

/// Hands the packet to the node.
#[inline(always)]
pub(crate) fn send(ctx: &TcContext, identity: u32, node: u32) -> Verdict {
    if direct::is_on() {
        direct::send(ctx, node)
    } else {
        encapsulate::send(ctx, identity, node)
    }
}
