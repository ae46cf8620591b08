use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{
    Collected, Counter, Endpoint, Error, EventSource, Flow, Frontend, IpEntry, MapOperations,
    MapPressure, Node, PolicyEntry, PolicyKey, Service, Tenant,
};

/// The datapath of one node, as its callers see it.
///
/// Every `upsert_*` may be repeated and changes nothing the second time; every `remove_*` of something unknown succeeds.
/// All methods block for system calls (tens to hundreds of microseconds).
pub trait Datapath: Send + Sync + 'static {
    /// Whether packets go through this datapath. Not yet, while one of before runs whose maps have another layout: then this one
    /// begins empty, and is to be filled before [`Self::activate`].
    fn is_active(&self) -> bool;
    /// Takes the place of the one that runs; connections go on. Does nothing when it has.
    fn activate(&self) -> Result<(), Error>;

    /// Makes a pod reachable. When this returns, the host's side of the link carries our program, and only then was it brought up:
    /// no packet of the pod goes unseen.
    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error>;
    /// Forgets a pod. The link itself belongs to the CNI plugin and stays.
    fn remove_endpoint(&self, id: u16) -> Result<(), Error>;
    /// The pods known now, those of an earlier process included.
    fn endpoints(&self) -> Result<Vec<Endpoint>, Error>;

    /// Who has which address on this node, as far as that outlives a change of layout: also while [`Self::is_active`] is not so, and
    /// [`Self::endpoints`] are those of this datapath's own, new maps.
    fn tenants(&self) -> Result<Vec<Tenant>, Error>;

    /// Says who holds a range of addresses and where; the longest prefix wins.
    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error>;
    /// Forgets a range.
    fn remove_ip(&self, prefix: Ipv4Net) -> Result<(), Error>;
    /// All ranges known now.
    fn ips(&self) -> Result<Vec<(Ipv4Net, IpEntry)>, Error>;

    /// Accepts packets of another node's pods, and routes the host's own traffic to them. Ranges it no longer has are dropped.
    /// A range that another node holds is refused with [`Error::RangeTaken`] and stays with its owner; a node that native
    /// routing does not reach is refused with [`Error::NotDirect`].
    fn upsert_node(&self, node: &Node) -> Result<(), Error>;
    /// No longer accepts packets of a node's pods.
    fn remove_node(&self, ip: Ipv4Addr) -> Result<(), Error>;
    /// The other nodes known now, with those of their ranges that are routed to them.
    fn nodes(&self) -> Result<Vec<Node>, Error>;

    /// Replaces a service as a whole: a connection sees either the old backends or the new ones.
    fn upsert_service(&self, service: &Service) -> Result<(), Error>;
    /// Forgets a service.
    fn remove_service(&self, frontend: Frontend) -> Result<(), Error>;
    /// All services known now.
    fn services(&self) -> Result<Vec<Service>, Error> {
        let numbered = self.numbered_services()?;
        Ok(numbered.into_iter().map(|(_, service)| service).collect())
    }
    /// The same, each under its number: its own among them, and another one after every change.
    fn numbered_services(&self) -> Result<Vec<(u32, Service)>, Error>;

    /// Makes a policy, or replaces it as a whole: a packet is judged by either the old one or the new one. More entries than
    /// [`crate::MAX_POLICY_ENTRIES`] are refused with [`Error::PolicyFull`]; after any error the old state stays.
    ///
    /// Connections that are allowed stay so until [`Datapath::new_epoch`]; that holds for every change of a policy, a block, an
    /// address's or an endpoint's identity.
    fn set_policy(&self, id: u32, entries: &BTreeMap<PolicyKey, PolicyEntry>) -> Result<(), Error>;
    /// Changes a policy entry by entry, what is added first. An unknown policy is [`Error::NoPolicy`]; after any error the old
    /// state stays.
    fn update_policy(
        &self,
        id: u32,
        upserts: &[(PolicyKey, PolicyEntry)],
        removes: &[PolicyKey],
    ) -> Result<(), Error>;
    /// Forgets a policy; pods that are still judged by it are cut off.
    fn remove_policy(&self, id: u32) -> Result<(), Error>;
    /// Numbers of the policies known now, those of an earlier process included.
    fn policies(&self) -> Result<Vec<u32>, Error>;
    /// The entries of a policy.
    fn policy(&self, id: u32) -> Result<Option<BTreeMap<PolicyKey, PolicyEntry>>, Error>;
    /// Has every known connection judged anew at its next packet. To be called after a change that may take something away;
    /// what the change allows, it allows at once.
    fn new_epoch(&self) -> Result<(), Error>;

    /// Gives the addresses of a range a number (1 to 2^24 - 1) that policies can name; the longest prefix wins.
    fn upsert_block(&self, prefix: Ipv4Net, number: u32) -> Result<(), Error>;
    /// Forgets a block.
    fn remove_block(&self, prefix: Ipv4Net) -> Result<(), Error>;
    /// All blocks known now.
    fn blocks(&self) -> Result<Vec<(Ipv4Net, u32)>, Error>;

    /// All connections known now, those included that have ended and were not collected yet. Takes about a microsecond each.
    fn flows(&self) -> Result<Vec<Flow>, Error>;
    /// Whether more than half of the table of connections, or of that of masquerading, is in use: new entries may soon have the kernel
    /// forget those that were used longest ago, whoever's they are. [`Self::collect_flows`] makes room before.
    fn is_crowded(&self) -> Result<bool, Error>;
    /// Removes connections that have ended, and masquerading entries of connections that are gone. In a crowded table those who hold
    /// most of it lose what is nearest to its end, first what was never answered, until an eighth at least is free.
    fn collect_flows(&self) -> Result<Collected, Error>;
    /// Forgets all connections; the next packet of each is judged as a new one's. Answers how many there were.
    fn flush_flows(&self) -> Result<u64, Error>;

    /// Starts events. A second reader is refused with [`Error::EventsTaken`] until the first is dropped.
    fn events(&self) -> Result<Box<dyn EventSource>, Error>;
    /// Events that were not read in time, since the programs were first loaded.
    fn lost_events(&self) -> Result<u64, Error>;

    /// Packets and bytes so far, over all processors; only what is not zero.
    fn counters(&self) -> Result<Vec<Counter>, Error>;
    /// Writes to maps, since the process began.
    fn map_operations(&self) -> Vec<MapOperations>;
    /// How full each map is that can be full.
    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error>;
    /// The MTU of the pods' links: the lowest of the devices, less the tunnel's 50 bytes if there is one.
    fn pod_mtu(&self) -> u32;

    /// Smallest MTU of the devices to the outside, in bytes, as it was when the datapath was opened.
    fn device_mtu(&self) -> u32;
}
