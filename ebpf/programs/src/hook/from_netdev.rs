use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::point;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, is_own_pod_range};
use crate::maps::{cilium_lxc, cilium_node_cidr};
use crate::stage::admit::admit;
use crate::stage::packet::{
    ETHERNET, ETHERTYPE_IPV4, ICMP, Ipv4, Packet, Part, at, ethernet, parse,
};
use crate::stage::party::Sender;
use crate::stage::verdict::{PASS, conclude};
use crate::stage::{deliver, encapsulate, icmp_error, masquerade, outside, refuse};

/// What reaches the node: tcx ingress of a device to the outside.
#[classifier]
pub(crate) fn from_netdev(ctx: TcContext) -> i32 {
    match handle(&ctx) {
        Ok(None) => i32::from(PASS),
        Ok(Some(action)) => conclude(&ctx, metric::INGRESS, Ok(action)),
        Err(reason) => {
            let action = conclude(&ctx, metric::INGRESS, Err(reason));
            if reason == reason::NO_BACKEND {
                return refuse::instead(&ctx, action);
            }
            action
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
    // Most packets here are the tunnel's, and those are judged where they come out of it.
    if encapsulate::is_tunnel(ctx, &header) {
        return Ok(None);
    }
    // Pods speak over their links and through the tunnel, never from outside.
    if is_pod_address(header.source) {
        return Err(reason::INVALID_SOURCE_IP);
    }
    // What we cannot read is the host's to refuse.
    let Ok(packet) = parse(ctx) else {
        return Ok(None);
    };
    if header.destination == NODE_IP.load() {
        // A flow that is known goes before a service at the same port.
        if let Some(action) = answer(ctx, packet)? {
            return Ok(Some(action));
        }
    }
    outside::serve(ctx, packet)
}

#[inline(always)]
fn is_pod_address(address: u32) -> bool {
    is_own_pod_range(address)
        || cilium_node_cidr
            .get(&Key::new(128, Address::v4(address)))
            .is_some()
}

#[inline(always)]
fn answer(ctx: &TcContext, packet: &mut Packet) -> Result<Option<i8>, u8> {
    let mut ours = masquerade::come_back(ctx, packet)?;
    if !ours && packet.protocol == ICMP && packet.part == Part::Whole {
        ours = icmp_error::come_back(ctx, packet)?;
    }
    if !ours {
        return Ok(None);
    }
    if let Some(endpoint) = cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
        return deliver::local(ctx, packet, endpoint).map(Some);
    }
    // The answer to a pod that is gone is left to the stack, whose route leads to where it is dropped and counted.
    Ok(outside::hand_back(ctx, packet)?.or(Some(PASS)))
}
