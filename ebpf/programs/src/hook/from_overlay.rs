use aya_ebpf::bindings::bpf_tunnel_key;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_skb_get_tunnel_key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::point;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, ROUTER_IP};
use crate::maps::{cilium_lxc, cilium_node_cidr, cilium_nodes};
use crate::stage::admit::admit;
use crate::stage::packet::{ETHERTYPE_IPV4, Ethernet, ethernet, parse};
use crate::stage::party::Sender;
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{deliver, flow, fragment, masquerade, outside, refuse};

/// The packet is for this host (`PACKET_HOST`, linux/if_packet.h).
const FOR_HOST: u32 = 0;

/// What other nodes send through the tunnel: tcx ingress of the tunnel device.
#[classifier]
pub(crate) fn from_overlay(ctx: TcContext) -> i32 {
    let sender = outer_source(&ctx);
    let verdict = sender.and_then(|sender| handle(&ctx, sender));
    let action = conclude(&ctx, metric::INGRESS, verdict);
    match (verdict, sender) {
        (Err(reason::UNKNOWN_TARGET), Ok(sender)) => refuse::through_tunnel(&ctx, sender, action),
        _ => action,
    }
}

#[inline(always)]
fn handle(ctx: &TcContext, sender: u32) -> Verdict {
    // SAFETY: `ethernet` has checked the bounds.
    let Ethernet { ethertype, .. } = unsafe { *ethernet(ctx)? };
    if ethertype != ETHERTYPE_IPV4 {
        return Err(reason::UNSUPPORTED_L3);
    }
    let packet = parse(ctx)?;
    check_ownership(sender, packet.source)?;
    if let Some(endpoint) = cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        fragment::settle(packet)?;
        admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
        return deliver::local(ctx, packet, endpoint);
    }
    if packet.destination == NODE_IP.load() {
        fragment::settle(packet)?;
        // Only answers come this way; who asks a node does so at its device.
        if !flow::answers(packet) {
            return Err(reason::UNKNOWN_TARGET);
        }
        admit(ctx, packet, Sender::FOREIGNER, point::TO_STACK)?;
        return to_host(ctx);
    }
    if packet.destination != ROUTER_IP.load() {
        return Err(reason::UNKNOWN_TARGET);
    }
    if masquerade::come_back(ctx, packet)? {
        if let Some(action) = outside::hand_back(ctx, packet)? {
            return Ok(action);
        }
        if packet.destination != NODE_IP.load() {
            return Err(reason::UNKNOWN_TARGET);
        }
        admit(ctx, packet, Sender::FOREIGNER, point::TO_STACK)?;
    }
    to_host(ctx)
}

/// The frame carries the sender's Ethernet addresses, for which the stack would take it as another host's.
#[inline(always)]
fn to_host(ctx: &TcContext) -> Verdict {
    ctx.change_type(FOR_HOST).map_err(|_| reason::WRITE_ERROR)?;
    Ok(PASS)
}

#[inline(always)]
fn outer_source(ctx: &TcContext) -> Result<u32, u8> {
    // SAFETY: all zero is a valid key; the helper writes exactly its size, and an IPv4 tunnel fills the IPv4 member.
    unsafe {
        let mut key: bpf_tunnel_key = core::mem::zeroed();
        if bpf_skb_get_tunnel_key(
            ctx.skb.skb,
            &raw mut key,
            size_of::<bpf_tunnel_key>() as u32,
            0,
        ) != 0
        {
            return Err(reason::NO_TUNNEL_KEY);
        }
        Ok(key.__bindgen_anon_1.remote_ipv4.to_be())
    }
}

/// Anyone on the network can send to the tunnel port with any VNI. So the outer source must be a node, and the inner source
/// an address of that very node: of its pods, or its own.
#[inline(always)]
fn check_ownership(outer: u32, inner: u32) -> Result<(), u8> {
    let owner = cilium_node_cidr.get(&Key::new(128, Address::v4(inner)));
    if owner.is_some_and(|owner| owner.node.to_v4() == outer) {
        return Ok(());
    }
    if cilium_nodes.get_ptr(&Address::v4(outer)).is_none() {
        return Err(reason::UNKNOWN_SENDER);
    }
    if inner == outer {
        Ok(())
    } else {
        Err(reason::INVALID_SOURCE_IP)
    }
}
