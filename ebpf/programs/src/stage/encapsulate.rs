//! Sending a packet to another node through the tunnel.

use aya_ebpf::bindings::{BPF_F_ZERO_CSUM_TX, bpf_tunnel_key};
use aya_ebpf::helpers::{bpf_redirect, bpf_skb_set_tunnel_key};
use aya_ebpf::programs::TcContext;
use datapath_abi::reason;

use super::packet::{ETHERNET, Ipv4, UDP, at};
use super::verdict::Verdict;
use crate::config::{NODE_IP, TUNNEL_IFINDEX, TUNNEL_PORT};

const TTL: u8 = 64;

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
