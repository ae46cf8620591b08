use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::metric;

use crate::config::is_own_pod_range;
use crate::maps::cilium_native;
use crate::stage::masquerade;
use crate::stage::packet::{ETHERNET, ETHERTYPE_IPV4, Ipv4, at, ethernet, parse};
use crate::stage::verdict::{PASS, Verdict, conclude};

/// What leaves the node: tcx egress of a device to the outside.
#[classifier]
pub(crate) fn to_netdev(ctx: TcContext) -> i32 {
    if !is_from_pod(&ctx) {
        return i32::from(PASS);
    }
    conclude(&ctx, metric::EGRESS, handle(&ctx))
}

/// Most packets here are the host's own, the tunnel's among them; they cost one comparison.
#[inline(always)]
fn is_from_pod(ctx: &TcContext) -> bool {
    // SAFETY: `ethernet` and `at` have checked the bounds.
    unsafe {
        let Ok(frame) = ethernet(ctx) else {
            return false;
        };
        if (*frame).ethertype != ETHERTYPE_IPV4 {
            return false;
        }
        at::<Ipv4>(ctx, ETHERNET).is_some_and(|header| is_own_pod_range((*header).source))
    }
}

#[inline(always)]
fn handle(ctx: &TcContext) -> Verdict {
    let packet = parse(ctx)?;
    if cilium_native
        .get(&Key::new(128, Address::v4(packet.destination)))
        .is_none()
    {
        masquerade::leave(ctx, packet)?;
    }
    Ok(PASS)
}
