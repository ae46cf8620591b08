use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::point;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, ROUTER_IP, is_own_pod_range};
use crate::maps::cilium_lxc;
use crate::stage::admit::admit;
use crate::stage::packet::{ETHERNET, ETHERTYPE_IPV4, Ipv4, Packet, at, ethernet, parse};
use crate::stage::party::Sender;
use crate::stage::verdict::{PASS, conclude};
use crate::stage::{
    deliver, direct, encapsulate, fragment, icmp_error, masquerade, outside, refuse,
};

/// What reaches the node: tcx ingress of a device to the outside.
#[classifier]
pub(crate) fn from_netdev(ctx: TcContext) -> i32 {
    match handle(&ctx) {
        Ok(None) => i32::from(PASS),
        Ok(Some(action)) => conclude(&ctx, metric::INGRESS, Ok(action)),
        Err(reason) => {
            let action = conclude(&ctx, metric::INGRESS, Err(reason));
            refuse::instead(&ctx, reason, action)
        }
    }
}

/// `None`: a packet for the host, which is neither ours to judge nor to count.
#[inline(always)]
fn handle(ctx: &TcContext) -> Result<Option<i8>, u8> {
    // SAFETY: `ethernet` and `at` have checked the bounds.
    let header = unsafe {
        let Ok(frame) = ethernet(ctx) else {
            return Ok(None);
        };
        if (*frame).ethertype != ETHERTYPE_IPV4 {
            return Ok(None);
        }
        let Some(header) = at::<Ipv4>(ctx, ETHERNET) else {
            return Ok(None);
        };
        *header
    };
    // Most packets here are the tunnel's, and those are judged where they come out of it. It ends at the node's address: at its
    // port a pod may be spoken to as well.
    let to_node = header.destination == NODE_IP.load();
    if to_node && !direct::is_on() && encapsulate::is_tunnel(ctx, &header) {
        fragment::forget(&header);
        return Ok(None);
    }
    // Pods of this node speak over their links only, those of other nodes through the tunnel or over the nodes' network.
    let remote_pod = direct::is_of_other_node(header.source);
    if is_own_pod_range(header.source) || remote_pod && !direct::carried(ctx) {
        return Err(reason::INVALID_SOURCE_IP);
    }
    // What we cannot read is the host's to refuse.
    let Ok(packet) = parse(ctx) else {
        return Ok(None);
    };
    if direct::carried(ctx) && is_own_pod_range(header.destination) {
        if remote_pod || direct::is_node(header.source) {
            return from_node(ctx, packet);
        }
    }
    if to_node {
        // A flow that is known goes before a service at the same port.
        if let Some(action) = answer(ctx, packet)? {
            return Ok(Some(action));
        }
    }
    outside::serve(ctx, packet)
}

/// To a pod of this node from one of another, or from that node's host.
#[inline(always)]
fn from_node(ctx: &TcContext, packet: &mut Packet) -> Result<Option<i8>, u8> {
    if let Some(endpoint) = cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        fragment::settle(packet)?;
        admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
        return deliver::local(ctx, packet, endpoint).map(Some);
    }
    if packet.destination != ROUTER_IP.load() {
        return Err(reason::UNKNOWN_TARGET);
    }
    Ok(None)
}

#[inline(always)]
fn answer(ctx: &TcContext, packet: &mut Packet) -> Result<Option<i8>, u8> {
    if !(masquerade::come_back(ctx, packet)? || icmp_error::come_back(ctx, packet)?) {
        return Ok(None);
    }
    if let Some(endpoint) = cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
        return deliver::local(ctx, packet, endpoint).map(Some);
    }
    // The answer to a pod that is gone is left to the stack, whose route leads to where it is dropped and counted.
    Ok(outside::hand_back(ctx, packet)?.or(Some(PASS)))
}
