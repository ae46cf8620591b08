use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, is_own_pod_range};
use crate::maps::cilium_lxc;
use crate::stage::packet::{ETHERNET, ETHERTYPE_IPV4, ICMP, Ipv4, Part, at, ethernet, parse};
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{deliver, icmp_error, masquerade};

/// What reaches the node: tcx ingress of a device to the outside.
#[classifier]
pub(crate) fn from_netdev(ctx: TcContext) -> i32 {
    match handle(&ctx) {
        Ok(None) => PASS,
        Ok(Some(action)) => conclude(&ctx, metric::INGRESS, Ok(action)),
        Err(reason) => conclude(&ctx, metric::INGRESS, Err(reason)),
    }
}

/// `None`: a packet for the host, which is neither ours to judge nor to count.
#[inline(always)]
fn handle(ctx: &TcContext) -> Result<Option<i32>, u8> {
    // SAFETY: `ethernet` and `at` have checked the bounds.
    let (source, destination, protocol) = unsafe {
        let Ok(frame) = ethernet(ctx) else {
            return Ok(None);
        };
        if (*frame).ethertype != ETHERTYPE_IPV4 {
            return Ok(None);
        }
        let Some(header) = at::<Ipv4>(ctx, ETHERNET) else {
            return Ok(None);
        };
        ((*header).source, (*header).destination, (*header).protocol)
    };
    // Our pods speak to this node over their links, never from outside.
    if is_own_pod_range(source) {
        return Err(reason::INVALID_SOURCE_IP);
    }
    if destination != NODE_IP.load() {
        return Ok(None);
    }
    answer(ctx, protocol)
}

#[inline(always)]
fn answer(ctx: &TcContext, protocol: u8) -> Result<Option<i32>, u8> {
    // What we cannot read is the host's to refuse.
    let Ok(mut packet) = parse(ctx) else {
        return Ok(None);
    };
    let mut ours = masquerade::come_back(ctx, &mut packet)?;
    if !ours && protocol == ICMP && packet.part == Part::Whole {
        ours = icmp_error::come_back(ctx, &mut packet)?;
    }
    if !ours {
        return Ok(None);
    }
    // The answer to a pod that is gone is left to the stack, whose route leads to where it is dropped and counted.
    let verdict: Verdict = match cilium_lxc.get_ptr(&Address::v4(packet.destination)) {
        Some(endpoint) => deliver::local(ctx, &mut packet, endpoint),
        None => Ok(PASS),
    };
    verdict.map(Some)
}
