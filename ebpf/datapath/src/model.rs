pub(crate) mod crowd;
mod event;
mod flow;
mod maglev;
mod policy;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::Mac;

pub use event::{Event, EventKind, EventSource};
pub use flow::{Collected, Flow, FlowEnd, GaveWay, MAX_FLOWS, PerProtocol};
pub use maglev::Maglev;
pub use policy::{MAX_POLICY_ENTRIES, PolicyEntry, PolicyKey, Verdict};

/// How packets between pods get from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// Through VXLAN.
    #[default]
    Tunnel,
    /// As they are, over the one network that all nodes are on.
    Native,
}

/// What the datapath of one node needs to know before it can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Mount point of a bpffs; everything of ours lies below `<bpffs>/gloonet`.
    pub bpffs: PathBuf,
    /// The cgroup v2 folder whose processes get socket load balancing: the node's root.
    pub cgroup_root: PathBuf,
    /// The node's address on its own network: outer address of the tunnel and source of masqueraded traffic.
    pub node_ip: Ipv4Addr,
    /// The node's address inside `pod_cidr`, held by `cilium_host`; the pods' gateway.
    pub router_ip: Ipv4Addr,
    /// The range this node's pods get their addresses from.
    pub pod_cidr: Ipv4Net,
    /// Destinations that are never masqueraded: the cluster's pod ranges.
    pub native_cidrs: Vec<Ipv4Net>,
    /// The same on every node.
    pub routing: Routing,
    /// Devices to the outside, by name. Empty: the device that carries `node_ip`.
    pub devices: Vec<String>,
    /// UDP port of VXLAN, the same on every node; 8472 in Cilium.
    pub tunnel_port: u16,
    /// MTU of the devices to the outside. `None`: the lowest of `devices`, measured.
    pub mtu: Option<u32>,
}

/// A pod's attachment, seen from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Number of the endpoint, unique on the node.
    pub id: u16,
    /// The pod's address.
    pub ip: Ipv4Addr,
    /// Ethernet address of the pod's own side.
    pub mac: Mac,
    /// Ethernet address of the host's side.
    pub host_mac: Mac,
    /// Interface index of the host's side.
    pub ifindex: u32,
    /// The pod's security identity.
    pub identity: u32,
    /// Number of the policy that judges what it sends and gets, see [`crate::Datapath::set_policy`]; 0: none does, and
    /// everything from and to it is dropped (reason 203).
    pub policy: u32,
}

/// What is known of a pod whatever the layout of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The pod's address.
    pub ip: Ipv4Addr,
    /// Number of the endpoint.
    pub id: u16,
    /// Interface index of the host's side.
    pub ifindex: u32,
    /// Ethernet address of the pod's own side.
    pub mac: Mac,
}

/// What is known about a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpEntry {
    /// Security identity of every address in the range that has no closer entry.
    pub identity: u32,
    /// Node that holds the range; `None` when it is reached without a tunnel.
    pub tunnel: Option<Ipv4Addr>,
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The address its tunnel packets come from.
    pub ip: Ipv4Addr,
    /// The only ranges its tunnel packets may carry as inner source.
    pub pod_cidrs: Vec<Ipv4Net>,
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

/// Who asks a service.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Scope {
    /// Pods and the host itself.
    #[default]
    Inside,
    /// Whoever reaches the node by a device to the outside.
    Outside,
}

/// Where a service is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Frontend {
    /// Virtual address.
    pub ip: Ipv4Addr,
    /// Port, host byte order.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// For whom.
    pub scope: Scope,
}

/// One place that answers for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Backend {
    /// Address of a pod or a host.
    pub ip: Ipv4Addr,
    /// Port, host byte order.
    pub port: u16,
}

/// A service and everything that answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Where it is reached.
    pub frontend: Frontend,
    /// Where it is answered. Empty: connections are refused, or what `when_empty` says.
    pub backends: Vec<Backend>,
    /// Seconds a client stays with its backend after its last connection; `None`: no affinity.
    pub affinity_seconds: Option<u32>,
    /// What happens without backends.
    pub when_empty: WhenEmpty,
    /// Whether the address is nobody's but services': what those the frontend is for send to any other port of it is dropped, and
    /// told if it can be. From outside an address that the host has, too, is the host's all the same.
    pub exclusive: bool,
    /// The only sources that are served. Empty: all are.
    pub source_ranges: Vec<Ipv4Net>,
    /// How each connection gets its backend, of who asks from outside; `None`: at random.
    pub maglev: Option<Maglev>,
}

/// What a service without backends does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum WhenEmpty {
    /// Refuses: connections end at once, packets are answered with ICMP "port unreachable".
    #[default]
    Refuse,
    /// Drops in silence: the service has backends, only none for this node to use.
    Drop,
}

/// Which way a counted packet went, from the node's point of view (Cilium's numbering).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Towards a local pod or the host.
    Ingress,
    /// Away from a local pod or the host.
    Egress,
}

/// Packets and bytes that ended in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// 0 = forwarded; anything else is a drop reason with Cilium's number (see [`Counter::reason_name`]).
    pub reason: u8,
    /// Which way.
    pub direction: Direction,
    /// Packets; a GSO packet counts once.
    pub packets: u64,
    /// Bytes with the Ethernet header.
    pub bytes: u64,
}

impl Counter {
    /// Cilium's words for the reason, as its metrics and `cilium monitor` print them.
    pub fn reason_name(&self) -> &'static str {
        datapath_abi::reason::name(self.reason)
    }
}

/// How often entries of a map were written one by one, or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOperations {
    /// The map's name, as pinned.
    pub map: &'static str,
    /// `update` or `delete`.
    pub operation: &'static str,
    /// Whether the kernel did it.
    pub well: bool,
    /// Since the process began.
    pub number: u64,
}

/// How full a map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPressure {
    /// The map's name, as pinned.
    pub name: &'static str,
    /// Entries in it now.
    pub used: u32,
    /// Entries it can hold.
    pub max: u32,
}
