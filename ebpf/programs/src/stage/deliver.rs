//! Handing a packet to a pod of this node. Whoever calls has had it admitted.

use aya_ebpf::helpers::{bpf_redirect, bpf_redirect_peer};
use aya_ebpf::programs::TcContext;
use datapath_abi::endpoint::Endpoint;
use datapath_abi::reason;

use super::packet::{ETHERNET, Ethernet, Ipv4, Packet, at};
use super::service;
use super::verdict::Verdict;

/// From a pod, another node or the outside: undoes a service translation, counts the hop, and puts the packet straight into
/// the pod's end of the link. Only for hooks where packets come in.
#[inline(always)]
pub(crate) fn local(ctx: &TcContext, packet: &mut Packet, endpoint: *const Endpoint) -> Verdict {
    // SAFETY: a map value; it may change while it is read, but stays readable until the program ends.
    let Endpoint {
        ifindex,
        mac,
        host_mac,
        service_client,
        ..
    } = unsafe { *endpoint };
    if service_client != 0 {
        service::restore(ctx, packet)?;
    }
    hop(ctx)?;
    address(ctx, mac, host_mac)?;
    // SAFETY: a plain helper call.
    Ok(unsafe { bpf_redirect_peer(ifindex, 0) } as i8)
}

/// From the stack, which has counted the hop: undoes a service translation and sends the packet over the pod's link.
#[inline(always)]
pub(crate) fn from_stack(
    ctx: &TcContext,
    packet: &mut Packet,
    endpoint: *const Endpoint,
) -> Verdict {
    // SAFETY: as above.
    let Endpoint {
        ifindex,
        mac,
        host_mac,
        service_client,
        ..
    } = unsafe { *endpoint };
    if service_client != 0 {
        service::restore(ctx, packet)?;
    }
    address(ctx, mac, host_mac)?;
    // SAFETY: a plain helper call.
    Ok(unsafe { bpf_redirect(ifindex, 0) } as i8)
}

/// Counts a hop.
#[inline(always)]
pub(crate) fn hop(ctx: &TcContext) -> Result<(), u8> {
    let ip = at::<Ipv4>(ctx, ETHERNET).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds.
    unsafe {
        if (*ip).ttl <= 1 {
            return Err(reason::TTL_EXCEEDED);
        }
        (*ip).ttl -= 1;
        // RFC 1624: the TTL is the high byte of its word, so one less there is 0x0100 more in the checksum.
        let sum = u32::from(u16::from_be((*ip).checksum)) + 0x0100;
        (*ip).checksum = ((sum + (sum >> 16)) as u16).to_be();
    }
    Ok(())
}

#[inline(always)]
fn address(ctx: &TcContext, destination: [u8; 6], source: [u8; 6]) -> Result<(), u8> {
    let ethernet = at::<Ethernet>(ctx, 0).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds.
    unsafe {
        (*ethernet).destination = destination;
        (*ethernet).source = source;
    }
    Ok(())
}
