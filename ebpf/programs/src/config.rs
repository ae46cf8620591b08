//! Constants of the node, written by the loader before the kernel verifies the programs, so that they cost no lookup.

use aya_ebpf::Global;

/// The node's address on its own network, network byte order.
#[unsafe(no_mangle)]
pub(crate) static NODE_IP: Global<u32> = Global::new(0);
/// The node's address among its pods, network byte order.
#[unsafe(no_mangle)]
pub(crate) static ROUTER_IP: Global<u32> = Global::new(0);
/// The node's pod range, network byte order.
#[unsafe(no_mangle)]
pub(crate) static POD_NETWORK: Global<u32> = Global::new(0);
/// Its mask, network byte order.
#[unsafe(no_mangle)]
pub(crate) static POD_MASK: Global<u32> = Global::new(u32::MAX);
/// UDP port of the tunnel, network byte order.
#[unsafe(no_mangle)]
pub(crate) static TUNNEL_PORT: Global<u16> = Global::new(0);
/// Interface index of the tunnel device; 0 without a tunnel.
#[unsafe(no_mangle)]
pub(crate) static TUNNEL_IFINDEX: Global<u32> = Global::new(0);
/// Interface index of the device on the network of all nodes, where packets between pods go without a tunnel; 0 with one.
#[unsafe(no_mangle)]
pub(crate) static DIRECT_IFINDEX: Global<u32> = Global::new(0);
/// Cookie of the node's network namespace.
#[unsafe(no_mangle)]
pub(crate) static NAMESPACE: Global<u64> = Global::new(0);

/// Whether an address belongs to this node's pods (or is the router's).
#[inline(always)]
pub(crate) fn is_own_pod_range(address: u32) -> bool {
    address & POD_MASK.load() == POD_NETWORK.load()
}
