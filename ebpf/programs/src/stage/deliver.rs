//! Handing a packet to a pod of this node.

use aya_ebpf::helpers::bpf_redirect_peer;
use aya_ebpf::programs::TcContext;
use datapath_abi::endpoint::Endpoint;
use datapath_abi::reason;

use super::packet::{ETHERNET, Ethernet, Ipv4, Packet, at};
use super::service;
use super::verdict::Verdict;

/// Undoes a service translation, counts the hop, and puts the packet straight into the pod's end of the link.
///
/// Every packet from a pod or another node to a pod passes here, or through `to_container` if it comes out of the stack:
/// the ingress policy of the destination belongs at the head of both.
#[inline(always)]
pub(crate) fn local(ctx: &TcContext, packet: &mut Packet, endpoint: *const Endpoint) -> Verdict {
    // SAFETY: a map value; it may change while it is read, but stays readable until the program ends.
    let Endpoint {
        ifindex,
        mac,
        host_mac,
        ..
    } = unsafe { *endpoint };
    service::restore(ctx, packet)?;
    hop(ctx, mac, host_mac)?;
    // SAFETY: a plain helper call.
    Ok(unsafe { bpf_redirect_peer(ifindex, 0) } as i32)
}

#[inline(always)]
fn hop(ctx: &TcContext, destination: [u8; 6], source: [u8; 6]) -> Result<(), u8> {
    let frame = at::<[u8; ETHERNET + size_of::<Ipv4>()]>(ctx, 0).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds of both headers.
    unsafe {
        let ip = frame.cast::<u8>().add(ETHERNET).cast::<Ipv4>();
        if (*ip).ttl <= 1 {
            return Err(reason::TTL_EXCEEDED);
        }
        (*ip).ttl -= 1;
        // RFC 1624: the TTL is the high byte of its word, so one less there is 0x0100 more in the checksum.
        let sum = u32::from(u16::from_be((*ip).checksum)) + 0x0100;
        (*ip).checksum = ((sum + (sum >> 16)) as u16).to_be();
        let ethernet = frame.cast::<Ethernet>();
        (*ethernet).destination = destination;
        (*ethernet).source = source;
    }
    Ok(())
}
