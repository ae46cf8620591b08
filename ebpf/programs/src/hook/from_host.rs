use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::point;
use datapath_abi::ip::IDENTITY_HOST;
use datapath_abi::{metric, reason};

use crate::config::NODE_IP;
use crate::maps::{cilium_ipcache, cilium_lxc};
use crate::stage::admit::admit;
use crate::stage::packet::{ETHERTYPE_IPV4, Ethernet, ethernet, parse};
use crate::stage::verdict::{Verdict, conclude};
use crate::stage::{arrival, deliver, direct, encapsulate, fragment};

/// What the stack sends or forwards to pods, here and on other nodes: tcx egress of `cilium_host`, where the routes to all pod
/// ranges lead; without a tunnel only that to the node's own.
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
    let sender = arrival::sender(ctx, packet.source)?;
    let destination = Address::v4(packet.destination);
    if let Some(endpoint) = cilium_lxc.get_ptr(&destination) {
        fragment::settle(packet)?;
        admit(ctx, packet, sender, point::TO_ENDPOINT)?;
        return deliver::from_stack(ctx, packet, endpoint);
    }
    let entry = cilium_ipcache
        .get(&Key::new(128, destination))
        .ok_or(reason::UNKNOWN_TARGET)?;
    if entry.has_tunnel == 0 || direct::is_on() {
        return Err(reason::UNKNOWN_TARGET);
    }
    // Its answers come back through the tunnel because the connection is known here and there.
    if packet.source == NODE_IP.load() {
        fragment::settle(packet)?;
        admit(ctx, packet, sender, point::TO_OVERLAY)?;
    }
    encapsulate::send(ctx, IDENTITY_HOST, entry.tunnel.to_v4())
}
