//! Who holds an address, here and on other nodes.

use crate::{address::Address, plain};

/// Value of `cilium_ipcache`, an LPM trie over addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpEntry {
    /// Security identity.
    pub identity: u32,
    /// 1 if `tunnel` holds the node to send to, else 0.
    pub has_tunnel: u32,
    /// The node that holds the address.
    pub tunnel: Address,
}

/// Value of `cilium_node_cidr`, an LPM trie over pod ranges: the only node that may send from there through the tunnel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node.
    pub node: Address,
}

plain!(IpEntry = 24, Owner = 16);

/// Entries of `cilium_ipcache`.
pub const MAX_IPS: usize = 512 * 1024;
/// Entries of `cilium_node_cidr` and `cilium_native`.
pub const MAX_RANGES: usize = 16 * 1024;
/// Entries of `cilium_nodes`.
pub const MAX_NODES: usize = 16 * 1024;

/// Cilium's reserved identity of the host.
pub const IDENTITY_HOST: u32 = 1;
/// Its reserved identity of everything outside the cluster.
pub const IDENTITY_WORLD: u32 = 2;
/// Its reserved identity of the other nodes.
pub const IDENTITY_REMOTE_NODE: u32 = 6;
/// Its reserved identity of nodes with an API server.
pub const IDENTITY_API_SERVER: u32 = 7;
