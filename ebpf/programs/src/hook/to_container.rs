use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::metric;

use crate::stage::packet::{ETHERTYPE_IPV4, Ethernet, ethernet, parse};
use crate::stage::service;
use crate::stage::verdict::{PASS, Verdict, conclude};

/// What the stack sends to a pod: tcx egress of the host's side of its link. Packets of other pods do not come this way
/// (see `deliver`).
#[classifier]
pub(crate) fn to_container(ctx: TcContext) -> i32 {
    conclude(&ctx, metric::INGRESS, handle(&ctx))
}

#[inline(always)]
fn handle(ctx: &TcContext) -> Verdict {
    // SAFETY: `ethernet` has checked the bounds.
    let Ethernet { ethertype, .. } = unsafe { *ethernet(ctx)? };
    if ethertype == ETHERTYPE_IPV4 {
        service::restore(ctx, &mut parse(ctx)?)?;
    }
    Ok(PASS)
}
