use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::ip::IDENTITY_HOST;
use datapath_abi::{metric, reason};

use crate::maps::cilium_ipcache;
use crate::stage::encapsulate;
use crate::stage::packet::{ETHERTYPE_IPV4, Ethernet, ethernet, parse};
use crate::stage::verdict::{Verdict, conclude};

/// What the host sends to pods of other nodes: tcx egress of `cilium_host`, where the routes to their ranges lead.
#[classifier]
pub(crate) fn from_host(ctx: TcContext) -> i32 {
    conclude(&ctx, metric::EGRESS, handle(&ctx))
}

#[inline(always)]
fn handle(ctx: &TcContext) -> Verdict {
    // SAFETY: `ethernet` has checked the bounds.
    let Ethernet { ethertype, .. } = unsafe { *ethernet(ctx)? };
    if ethertype != ETHERTYPE_IPV4 {
        return Err(reason::UNSUPPORTED_L3);
    }
    let packet = parse(ctx)?;
    let entry = cilium_ipcache
        .get(&Key::new(128, Address::v4(packet.destination)))
        .ok_or(reason::UNKNOWN_TARGET)?;
    if entry.has_tunnel == 0 {
        return Err(reason::UNKNOWN_TARGET);
    }
    encapsulate::send(ctx, IDENTITY_HOST, entry.tunnel.to_v4())
}
