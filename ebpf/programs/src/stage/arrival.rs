//! By which device a packet came that the host's stack sends on.
//!
//! The stack forwards what any device of the node brings, a bridge of other containers say, and asks little for its source. A pod
//! speaks over its own link only, and one of another node over what carries packets between nodes; programs there have compared the
//! source with the sender. The kernel writes the device down when it takes a packet, and keeps it through forwarding and cutting.

use aya_ebpf::programs::TcContext;
use datapath_abi::endpoint::Source;
use datapath_abi::reason;

use super::party::Sender;
use super::{direct, remote};
use crate::config::{DIRECT_IFINDEX, ROUTER_IP, is_own_pod_range};
use crate::maps::cilium_lxc_source;

/// What the host itself made came by none.
const NONE: u32 = 0;

/// Who sends a packet that the stack sends or forwards to a pod. Only what was made on this host speaks for it.
#[inline(always)]
pub(crate) fn sender(ctx: &TcContext, source: u32) -> Result<Sender, u8> {
    let device = device(ctx);
    if device == NONE {
        return Ok(Sender::HOST);
    }
    if is_pods(source) {
        return behind(device, source).ok_or(reason::INVALID_SOURCE_IP);
    }
    if direct::is_of_other_node(source) && device != remote::device() {
        return Err(reason::INVALID_SOURCE_IP);
    }
    Ok(Sender::FOREIGNER)
}

/// Whether a packet may leave the node with a source among its pods: it is that pod's, or the node itself sends it, be it in answer to
/// what came over the network of the nodes, where no such source comes in.
#[inline(always)]
pub(crate) fn may_leave(ctx: &TcContext, source: u32) -> bool {
    let device = device(ctx);
    device == NONE
        || device == DIRECT_IFINDEX.load()
        || !is_pods(source)
        || behind(device, source).is_some()
}

#[inline(always)]
fn device(ctx: &TcContext) -> u32 {
    // SAFETY: a field of the context.
    unsafe { (*ctx.skb.skb).ingress_ifindex }
}

/// Whether an address is a pod's of this node. The router's is the host's own, which its stack believes of nobody else.
#[inline(always)]
fn is_pods(address: u32) -> bool {
    is_own_pod_range(address) && address != ROUTER_IP.load()
}

/// The pod at a link, if it has the address.
#[inline(always)]
fn behind(link: u32, address: u32) -> Option<Sender> {
    let source = cilium_lxc_source.get_ptr(&link)?;
    // SAFETY: a map value of plain numbers.
    let source: Source = unsafe { *source };
    (source.address.to_v4() == address).then(|| Sender::pod(&source))
}
