//! Sending a packet to another node.

use aya_ebpf::bindings::{BPF_F_ZERO_CSUM_TX, bpf_tunnel_key};
use aya_ebpf::helpers::{bpf_check_mtu, bpf_redirect, bpf_skb_set_tunnel_key};
use aya_ebpf::programs::TcContext;
use datapath_abi::reason;

use super::packet::{ETHERNET, Ipv4, UDP, at};
use super::verdict::Verdict;
use crate::config::{NODE_IP, TUNNEL_IFINDEX, TUNNEL_PORT};

const TTL: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000_u16.to_be();
/// Looks at the pieces of a packet that hardware will cut (`BPF_MTU_CHK_SEGS`, linux/bpf.h).
const SEGMENTS: u64 = 1;
/// What every link carries (RFC 791 3.1), with the Ethernet header.
const ALWAYS_FITS: u32 = 576 + ETHERNET as u32;

/// Whether a packet is one of the tunnel's own.
#[inline(always)]
pub(crate) fn is_tunnel(ctx: &TcContext, header: &Ipv4) -> bool {
    const WITHOUT_OPTIONS: u8 = 0x45;
    if header.version_length != WITHOUT_OPTIONS || header.protocol != UDP {
        return false;
    }
    at::<[u16; 2]>(ctx, ETHERNET + size_of::<Ipv4>()).is_some_and(|ports| {
        // SAFETY: `at` has checked the bounds.
        unsafe { (*ports)[1] == TUNNEL_PORT.load() }
    })
}

/// Whether a packet fits the tunnel as it is. If it does not and must not be cut, that is the reason to drop it.
#[inline(always)]
pub(crate) fn fits(ctx: &TcContext) -> Result<bool, u8> {
    if ctx.len() <= ALWAYS_FITS {
        return Ok(true);
    }
    let mut mtu = 0;
    // SAFETY: a plain helper call; it writes the number.
    let checked = unsafe {
        bpf_check_mtu(
            ctx.skb.skb.cast(),
            TUNNEL_IFINDEX.load(),
            &raw mut mtu,
            0,
            SEGMENTS,
        )
    };
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

/// Hands the packet to the tunnel device with the identity as VNI. The receiver takes that for a hint only.
#[inline(always)]
pub(crate) fn send(ctx: &TcContext, identity: u32, node: u32) -> Verdict {
    // SAFETY: all zero is a valid key; the helper reads exactly its size.
    let failed = unsafe {
        let mut key: bpf_tunnel_key = core::mem::zeroed();
        key.tunnel_id = identity;
        key.tunnel_ttl = TTL;
        key.__bindgen_anon_1.remote_ipv4 = u32::from_be(node);
        key.__bindgen_anon_3.local_ipv4 = u32::from_be(NODE_IP.load());
        // The inner packet has its own checksum; one more over everything would cost the sender without offload dearly.
        bpf_skb_set_tunnel_key(
            ctx.skb.skb,
            &raw mut key,
            size_of::<bpf_tunnel_key>() as u32,
            u64::from(BPF_F_ZERO_CSUM_TX),
        )
    };
    if failed != 0 {
        return Err(reason::WRITE_ERROR);
    }
    // SAFETY: a plain helper call.
    Ok(unsafe { bpf_redirect(TUNNEL_IFINDEX.load(), 0) } as i8)
}
