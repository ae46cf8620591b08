use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::point;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, TUNNEL_PORT, is_own_pod_range};
use crate::maps::{cilium_lxc, cilium_node_cidr};
use crate::stage::admit::admit;
use crate::stage::packet::{ETHERNET, ETHERTYPE_IPV4, ICMP, Ipv4, Part, UDP, at, ethernet, parse};
use crate::stage::party::Sender;
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{deliver, icmp_error, masquerade};

/// What reaches the node: tcx ingress of a device to the outside.
#[classifier]
pub(crate) fn from_netdev(ctx: TcContext) -> i32 {
    match handle(&ctx) {
        Ok(None) => i32::from(PASS),
        Ok(Some(action)) => conclude(&ctx, metric::INGRESS, Ok(action)),
        Err(reason) => conclude(&ctx, metric::INGRESS, Err(reason)),
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
    if is_tunnel(ctx, &header) {
        return Ok(None);
    }
    // Pods speak over their links and through the tunnel, never from outside.
    if is_pod_address(header.source) {
        return Err(reason::INVALID_SOURCE_IP);
    }
    if header.destination != NODE_IP.load() {
        return Ok(None);
    }
    answer(ctx, header.protocol)
}

#[inline(always)]
fn is_tunnel(ctx: &TcContext, header: &Ipv4) -> bool {
    const WITHOUT_OPTIONS: u8 = 0x45;
    if header.version_length != WITHOUT_OPTIONS || header.protocol != UDP {
        return false;
    }
    at::<[u16; 2]>(ctx, ETHERNET + size_of::<Ipv4>()).is_some_and(|ports| {
        // SAFETY: `at` has checked the bounds.
        unsafe { (*ports)[1] == TUNNEL_PORT.load() }
    })
}

#[inline(always)]
fn is_pod_address(address: u32) -> bool {
    is_own_pod_range(address)
        || cilium_node_cidr
            .get(&Key::new(128, Address::v4(address)))
            .is_some()
}

#[inline(always)]
fn answer(ctx: &TcContext, protocol: u8) -> Result<Option<i8>, u8> {
    // What we cannot read is the host's to refuse.
    let Ok(packet) = parse(ctx) else {
        return Ok(None);
    };
    let mut ours = masquerade::come_back(ctx, packet)?;
    if !ours && protocol == ICMP && packet.part == Part::Whole {
        ours = icmp_error::come_back(ctx, packet)?;
    }
    if !ours {
        return Ok(None);
    }
    // The answer to a pod that is gone is left to the stack, whose route leads to where it is dropped and counted.
    let verdict: Verdict = match cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        Some(endpoint) => {
            admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
            deliver::local(ctx, packet, endpoint)
        }
        None => Ok(PASS),
    };
    verdict.map(Some)
}
