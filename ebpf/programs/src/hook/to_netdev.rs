use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::{metric, reason};

use crate::config::{NODE_IP, is_own_pod_range};
use crate::maps::cilium_native;
use crate::stage::packet::{
    ETHERNET, ETHERTYPE_IPV4, ICMP, Ipv4, Packet, Part, at, ethernet, has_ports, parse,
};
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{arrival, direct, encapsulate, flow, fragment, masquerade, service};

/// What leaves the node: tcx egress of a device to the outside.
#[classifier]
pub(crate) fn to_netdev(ctx: TcContext) -> i32 {
    match origin(&ctx) {
        Origin::Pod => conclude(&ctx, metric::EGRESS, from_pod(&ctx)),
        Origin::Host => from_host(&ctx),
        Origin::Other => i32::from(PASS),
    }
}

/// Whose packet it is.
enum Origin {
    Pod,
    /// The host's own, and not the tunnel's.
    Host,
    Other,
}

/// Most packets here are the tunnel's; they cost a few comparisons.
#[inline(always)]
fn origin(ctx: &TcContext) -> Origin {
    // SAFETY: `ethernet` and `at` have checked the bounds.
    unsafe {
        let Ok(frame) = ethernet(ctx) else {
            return Origin::Other;
        };
        if (*frame).ethertype != ETHERTYPE_IPV4 {
            return Origin::Other;
        }
        let Some(header) = at::<Ipv4>(ctx, ETHERNET) else {
            return Origin::Other;
        };
        let header = *header;
        if is_own_pod_range(header.source) {
            return Origin::Pod;
        }
        // Or says with an error why it does not.
        let may_answer = has_ports(header.protocol) || header.protocol == ICMP;
        if header.source == NODE_IP.load() && may_answer && !encapsulate::is_tunnel(ctx, &header) {
            return Origin::Host;
        }
        Origin::Other
    }
}

#[inline(always)]
fn from_pod(ctx: &TcContext) -> Verdict {
    let packet = parse(ctx)?;
    if !arrival::may_leave(ctx, packet.source) {
        return Err(reason::INVALID_SOURCE_IP);
    }
    if answers_client(ctx, packet)? {
        return Ok(PASS);
    }
    if !sees_pods(packet.destination) && !was_asked_directly(packet) {
        masquerade::leave(ctx, packet)?;
    }
    Ok(PASS)
}

/// An answer to who reached the pod under its own address. A flow that was masqueraded stays so, also when its connection was
/// forgotten and the other end spoke first after that.
#[inline(always)]
fn was_asked_directly(packet: &Packet) -> bool {
    !masquerade::is_known(packet) && flow::answers(packet)
}

/// Whether a destination knows the way back to pods. Other nodes do when packets between nodes go without a tunnel.
#[inline(always)]
fn sees_pods(destination: u32) -> bool {
    cilium_native
        .get(&Key::new(128, Address::v4(destination)))
        .is_some()
        || direct::is_on() && direct::is_node(destination)
}

/// An answer to an outside client of a service leaves with the service's address. The ports of its later pieces were remembered when
/// a pod sent the first, or the host's first left.
#[inline(always)]
fn answers_client(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    if packet.part == Part::Later && !fragment::recall(packet) {
        return Ok(false);
    }
    service::restore(ctx, packet)
}

/// The host may answer for a service, too. Whatever else it sends is its own, and neither judged nor counted.
#[inline(always)]
fn from_host(ctx: &TcContext) -> i32 {
    let Ok(packet) = parse(ctx) else {
        return i32::from(PASS);
    };
    if packet.part == Part::First && service::is_answer(packet) {
        fragment::remember(packet);
    }
    match answers_client(ctx, packet) {
        Ok(false) => i32::from(PASS),
        Ok(true) => conclude(ctx, metric::EGRESS, Ok(PASS)),
        Err(reason) => conclude(ctx, metric::EGRESS, Err(reason)),
    }
}
