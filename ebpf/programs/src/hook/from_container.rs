use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::endpoint::Source;
use datapath_abi::{metric, reason};

use crate::config::{ROUTER_IP, TUNNEL_PORT, is_own_pod_range};
use crate::maps::{cilium_ipcache, cilium_lxc, cilium_lxc_source};
use crate::stage::packet::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, Ethernet, Packet, UDP, ethernet, parse, same_mac,
};
use crate::stage::service::LOOPBACK_IP;
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{arp, deliver, encapsulate, service};

/// What a pod sends: tcx ingress of the host's side of its link.
#[classifier]
pub(crate) fn from_container(ctx: TcContext) -> i32 {
    conclude(&ctx, metric::EGRESS, handle(&ctx))
}

#[inline(always)]
fn handle(ctx: &TcContext) -> Verdict {
    // SAFETY: fields of the context are readable; a map value of plain numbers.
    let (ifindex, tagged) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).vlan_present) };
    let source = cilium_lxc_source
        .get_ptr(&ifindex)
        .ok_or(reason::UNKNOWN_ENDPOINT)?;
    // SAFETY: as above.
    let source = unsafe { *source };
    if tagged != 0 {
        return Err(reason::VLAN);
    }
    // SAFETY: `ethernet` has checked the bounds.
    let Ethernet {
        source: sender,
        ethertype,
        ..
    } = unsafe { *ethernet(ctx)? };
    if !same_mac(sender, source.mac) {
        return Err(reason::INVALID_SOURCE_MAC);
    }
    match ethertype {
        ETHERTYPE_IPV4 => {}
        ETHERTYPE_ARP => return arp::from_pod(ctx, &source),
        // A pod has one IPv4 address and nothing else: whatever it says in IPv6 reaches nobody.
        _ => return Err(reason::UNSUPPORTED_L3),
    }
    let mut packet = parse(ctx)?;
    if packet.source != source.address.to_v4() {
        return Err(reason::INVALID_SOURCE_IP);
    }
    if packet.destination == LOOPBACK_IP {
        service::restore(ctx, &mut packet)?;
    }
    route(ctx, &mut packet, &source)
}

/// Sends the packet where it belongs; the pod's egress policy belongs at its head.
#[inline(always)]
fn route(ctx: &TcContext, packet: &mut Packet, source: &Source) -> Verdict {
    if let Some(verdict) = to_pod(ctx, packet, source) {
        return verdict;
    }
    if service::translate(ctx, packet)? {
        if let Some(verdict) = to_pod(ctx, packet, source) {
            return verdict;
        }
    }
    // A pod that can send to the tunnel port speaks for other pods of its node.
    if packet.protocol == UDP && packet.destination_port == TUNNEL_PORT.load() {
        return Err(reason::ENCAPSULATION_PROHIBITED);
    }
    if is_own_pod_range(packet.destination) && packet.destination != ROUTER_IP.load() {
        return Err(reason::UNKNOWN_TARGET);
    }
    Ok(PASS)
}

/// The verdict for a pod's address, here or on another node; `None` for any other.
#[inline(always)]
fn to_pod(ctx: &TcContext, packet: &mut Packet, source: &Source) -> Option<Verdict> {
    let destination = Address::v4(packet.destination);
    if let Some(endpoint) = cilium_lxc.get_ptr(&destination) {
        return Some(deliver::local(ctx, packet, endpoint));
    }
    let entry = cilium_ipcache.get(&Key::new(128, destination))?;
    if entry.has_tunnel == 0 {
        return None;
    }
    Some(encapsulate::send(
        ctx,
        source.identity,
        entry.tunnel.to_v4(),
    ))
}
