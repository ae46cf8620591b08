//! Native routing: a packet for another node goes as it is, over the one network that all nodes are on.
//!
//! Who sends is told by the source address alone. That network, and whoever can send frames on it, is trusted not to lie about
//! pods of other nodes; about this node's own it is not believed.

use aya_ebpf::bindings::bpf_redir_neigh;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_redirect_neigh;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;

use super::deliver;
use super::packet::AF_INET;
use super::verdict::Verdict;
use crate::config::{DIRECT_IFINDEX, is_own_pod_range};
use crate::maps::{cilium_node_cidr, cilium_nodes};

/// Whether packets go without a tunnel.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    DIRECT_IFINDEX.load() != 0
}

/// Whether a packet came over the network of the nodes. A tagged frame is another network's, even if it is the same device's.
#[inline(always)]
pub(crate) fn carried(ctx: &TcContext) -> bool {
    // SAFETY: fields of the context are readable.
    let (ifindex, tagged) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).vlan_present) };
    is_on() && ifindex == DIRECT_IFINDEX.load() && tagged == 0
}

/// Whether an address is a pod's, or the router's, of another node.
#[inline(always)]
pub(crate) fn is_of_other_node(address: u32) -> bool {
    !is_own_pod_range(address)
        && cilium_node_cidr
            .get(&Key::new(128, Address::v4(address)))
            .is_some()
}

/// Whether an address is another node's own.
#[inline(always)]
pub(crate) fn is_node(address: u32) -> bool {
    cilium_nodes.get_ptr(&Address::v4(address)).is_some()
}

/// Counts the hop and sends the packet to a node, whose Ethernet address the kernel finds. Not through the host's routes: they
/// may lead to a pod range in ways that are not ours.
#[inline(always)]
pub(crate) fn send(ctx: &TcContext, node: u32) -> Verdict {
    deliver::hop(ctx)?;
    // SAFETY: all zero is a valid request; the helper reads exactly its size.
    unsafe {
        let mut next: bpf_redir_neigh = core::mem::zeroed();
        next.nh_family = u32::from(AF_INET);
        next.__bindgen_anon_1.ipv4_nh = node;
        Ok(bpf_redirect_neigh(
            DIRECT_IFINDEX.load(),
            &raw mut next,
            size_of::<bpf_redir_neigh>() as i32,
            0,
        ) as i8)
    }
}
