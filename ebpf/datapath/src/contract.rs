use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Counter, Endpoint, Error, Frontend, IpEntry, MapPressure, Node, Service};

/// The datapath of one node, as its callers see it.
///
/// Every `upsert_*` may be repeated and changes nothing the second time; every `remove_*` of something unknown succeeds.
/// All methods block for system calls (tens to hundreds of microseconds).
pub trait Datapath: Send + Sync + 'static {
    /// Makes a pod reachable. When this returns, the host's side of the link carries our program, and only then was it brought up:
    /// no packet of the pod goes unseen.
    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error>;
    /// Forgets a pod. The link itself belongs to the CNI plugin and stays.
    fn remove_endpoint(&self, id: u16) -> Result<(), Error>;
    /// The pods known now, those of an earlier process included.
    fn endpoints(&self) -> Result<Vec<Endpoint>, Error>;

    /// Says who holds a range of addresses and where; the longest prefix wins.
    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error>;
    /// Forgets a range.
    fn remove_ip(&self, prefix: Ipv4Net) -> Result<(), Error>;
    /// All ranges known now.
    fn ips(&self) -> Result<Vec<(Ipv4Net, IpEntry)>, Error>;

    /// Accepts tunnel packets of another node, and routes the host's own traffic to its pods. Ranges it no longer has are dropped.
    /// A range that another node holds is refused with [`Error::RangeTaken`] and stays with its owner.
    fn upsert_node(&self, node: &Node) -> Result<(), Error>;
    /// No longer accepts tunnel packets of a node.
    fn remove_node(&self, ip: Ipv4Addr) -> Result<(), Error>;
    /// The other nodes known now.
    fn nodes(&self) -> Result<Vec<Node>, Error>;

    /// Replaces a service as a whole: a connection sees either the old backends or the new ones.
    fn upsert_service(&self, service: &Service) -> Result<(), Error>;
    /// Forgets a service.
    fn remove_service(&self, frontend: Frontend) -> Result<(), Error>;
    /// All services known now.
    fn services(&self) -> Result<Vec<Service>, Error>;

    /// Packets and bytes so far, over all processors; only what is not zero.
    fn counters(&self) -> Result<Vec<Counter>, Error>;
    /// How full each map is that can be full.
    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error>;
    /// The MTU of the pods' links: the lowest of the devices less the tunnel's 50 bytes.
    fn pod_mtu(&self) -> u32;
}
