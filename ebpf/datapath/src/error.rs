use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::link;

/// Why the datapath could not do what was asked; names the object, keeps the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The built-in object file was refused by the loader.
    #[error("cannot load the eBPF object")]
    Load(#[source] aya::EbpfError),
    /// The built-in object lacks a program or map this code expects: they were not built together.
    #[error("the eBPF object holds no {kind} {name}; rebuild it with `cargo xtask ebpf`")]
    Missing {
        /// "program" or "map".
        kind: &'static str,
        /// Name in the object.
        name: &'static str,
    },
    /// The kernel did not tell the number of the node's network namespace.
    #[error("cannot learn the cookie of the node's network namespace")]
    NamespaceCookie {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel's verifier or loader refused a program.
    #[error("the kernel refused program {name}")]
    Program {
        /// Name in the object.
        name: &'static str,
        /// What the kernel said.
        #[source]
        source: aya::programs::ProgramError,
    },
    /// Reading or writing a map failed.
    #[error("cannot {operation} map {map}")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Name of the map.
        map: &'static str,
        /// What the kernel said.
        #[source]
        source: aya::maps::MapError,
    },
    /// A map has no room for another entry. What is in it stays as it was.
    #[error(
        "map {map} is full, so this is not in force and what was there before is; `cilium-dbg metrics list` shows bpf_map_pressure"
    )]
    MapFull {
        /// Name of the map.
        map: &'static str,
    },
    /// A pinned map has another layout than this version's; it is never reused silently.
    #[error(
        "the map pinned at {path} is of another format ({found}) than this version's ({wanted}); \
         drain the node and remove {path}, or start the version that made it"
    )]
    MapFormat {
        /// Where the map is pinned.
        path: PathBuf,
        /// Type, key size, value size, entries, flags of the pinned one.
        found: String,
        /// The same of ours.
        wanted: String,
    },
    /// Attaching, replacing or pinning a link failed.
    #[error("cannot {operation} {link}")]
    Link {
        /// What was tried.
        operation: &'static str,
        /// Hook and device or cgroup.
        link: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A device, route, address or neighbour could not be set.
    #[error("cannot {operation}")]
    Network {
        /// What was tried, with the object's name.
        operation: String,
        /// What netlink said.
        #[source]
        source: link::Error,
    },
    /// A file of bpffs, cgroup or /proc/sys could not be read or written.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The configuration cannot work on this machine.
    #[error("{0}")]
    Config(String),
    /// A policy has more entries than fit.
    #[error(
        "policy {id} would have {entries} entries; {max} fit, so it stays as it was: fewer or wider port ranges and peers make it smaller"
    )]
    PolicyFull {
        /// Number of the policy.
        id: u32,
        /// Entries it would have.
        entries: usize,
        /// Entries that fit.
        max: usize,
    },
    /// A policy key contradicts itself.
    #[error(
        "policy {id} has a key the kernel cannot look up: {key:?}; a port needs a protocol, and bits that do not count are 0"
    )]
    PolicyKey {
        /// Number of the policy.
        id: u32,
        /// The key.
        key: crate::PolicyKey,
    },
    /// A policy is changed that does not exist.
    #[error("policy {id} does not exist; set it first")]
    NoPolicy {
        /// Number of the policy.
        id: u32,
    },
    /// 0 stands for "no policy".
    #[error("a policy cannot have the number 0, which says that an endpoint has none")]
    PolicyZero,
    /// A block's number does not fit into an identity.
    #[error("block {prefix} has the number {number}; 1 to {max} are possible", max = datapath_abi::policy::MAX_BLOCK)]
    BlockNumber {
        /// The range.
        prefix: Ipv4Net,
        /// Its number.
        number: u32,
    },
    /// The events are being read already.
    #[error("the events have a reader already; drop it first")]
    EventsTaken,
    /// Many entries of a map could not be read or removed at once.
    #[error("cannot {operation} the entries of the eBPF map {map}")]
    Batch {
        /// What was attempted.
        operation: &'static str,
        /// The map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The clock that connections are measured by cannot be read.
    #[error("cannot read the monotonic clock")]
    Clock(#[source] io::Error),
    /// Waiting for events failed.
    #[error("cannot wait for events")]
    Events(#[source] io::Error),
    /// Without a tunnel, a node must be reached without a router.
    #[error(
        "node {node} is not on the network of device {device}, so packets to its pods need a tunnel: put all nodes on one network, or choose routing mode Tunnel"
    )]
    NotDirect {
        /// The node.
        node: Ipv4Addr,
        /// The device that carries this node's address.
        device: String,
    },
    /// A node claims a range that belongs to another one.
    #[error("node {claimant} claims {range}, which belongs to node {owner}; the claim is ignored")]
    RangeTaken {
        /// The range in question.
        range: Ipv4Net,
        /// Who keeps it.
        owner: Ipv4Addr,
        /// Who wanted it.
        claimant: Ipv4Addr,
    },
}
