//! What no Service gets by naming it: ports of nodes, the API server's, and the ClusterIPs of other Services. Pure.
//!
//! `externalIPs` are written by whoever may write Services. At a node's address they are an honest way to publish a port that nobody
//! uses, so only what is somebody's there is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use cilium_api::{CiliumNode, names};
use datapath::{Frontend, Protocol};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::taken::Processes;
use super::{service_of, spec_address};
use crate::watch::Key;

/// Ports that are the platform's at every node, whether something listens there now or not. Those of Kubernetes are its defaults; of
/// ours the table of listeners in `docs/threat-model.md` has the same.
const PLATFORM: [(Protocol, u16); 17] = [
    (Protocol::Tcp, 22),
    // etcd, for its clients and among its members.
    (Protocol::Tcp, 2379),
    (Protocol::Tcp, 2380),
    // API server, kubelet, controller manager, scheduler.
    (Protocol::Tcp, 6443),
    (Protocol::Tcp, 10_250),
    (Protocol::Tcp, 10_257),
    (Protocol::Tcp, 10_259),
    (Protocol::Tcp, names::CLUSTER_HEALTH_PORT),
    (Protocol::Tcp, names::HUBBLE_PORT),
    (Protocol::Tcp, names::AGENT_HEALTH_PORT),
    (Protocol::Tcp, names::AGENT_METRICS_PORT),
    (Protocol::Tcp, names::SERVICE_HEALTH_PORT),
    (Protocol::Tcp, names::OPERATOR_HEALTH_PORT),
    (Protocol::Tcp, names::OPERATOR_METRICS_PORT),
    // The operator's metrics and health.
    (Protocol::Tcp, 9464),
    (Protocol::Tcp, 9465),
    (Protocol::Udp, names::TUNNEL_PORT),
];

/// The Service of the API server.
const API_SERVER: super::Key<'static> = ("default", "kubernetes");

/// Addresses of nodes and of the API server, and the ports that are somebody's there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    nodes: BTreeSet<Ipv4Addr>,
    api_servers: BTreeSet<(Ipv4Addr, u16)>,
    processes: Processes,
}

/// Of a node that nothing is known of.
#[cfg(test)]
pub(crate) static NOTHING: Reserved = Reserved {
    nodes: BTreeSet::new(),
    api_servers: BTreeSet::new(),
    processes: BTreeSet::new(),
};

/// Why an address and port is not a Service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Platform,
    ApiServer,
    Process,
    ClusterIp(Arc<Key>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("a port of the platform at a node"),
            Self::ApiServer => f.write_str("where the API server answers"),
            Self::Process => f.write_str("where a process of this node listens"),
            Self::ClusterIp(owner) => write!(f, "the ClusterIP of Service {}/{}", owner.0, owner.1),
        }
    }
}

impl Reserved {
    /// `own` are the addresses of this node, known before its CiliumNode is; `client` is where the agent itself finds the API server.
    pub fn of<'a>(
        nodes: impl IntoIterator<Item = &'a CiliumNode>,
        own: [Ipv4Addr; 2],
        slices: impl IntoIterator<Item = &'a EndpointSlice>,
        client: Option<(Ipv4Addr, u16)>,
        processes: Processes,
    ) -> Self {
        let known = nodes.into_iter().flat_map(addresses);
        let slices = slices.into_iter();
        let behind = slices.filter(|slice| service_of(slice) == Some(API_SERVER));
        Self {
            nodes: known.chain(own).collect(),
            api_servers: behind.flat_map(places).chain(client).collect(),
            processes,
        }
    }

    /// Why nobody gets this by naming it, if so.
    fn refusal(&self, at: Frontend) -> Option<Refusal> {
        let port = (at.protocol, at.port);
        if self.nodes.contains(&at.ip) && PLATFORM.contains(&port) {
            return Some(Refusal::Platform);
        }
        if at.protocol == Protocol::Tcp && self.api_servers.contains(&(at.ip, at.port)) {
            return Some(Refusal::ApiServer);
        }
        let process = (at.ip, at.protocol, at.port);
        self.processes
            .contains(&process)
            .then_some(Refusal::Process)
    }
}

/// Its InternalIP and its router's address. Others in a CiliumNode are only its word.
fn addresses(node: &CiliumNode) -> impl Iterator<Item = Ipv4Addr> {
    let router = crate::nodes::router(node);
    node.internal_ipv4().into_iter().chain(router)
}

/// Every address and port of a slice.
fn places(slice: &EndpointSlice) -> Vec<(Ipv4Addr, u16)> {
    let ports = slice.ports.iter().flatten();
    let ports = ports.filter_map(|port| u16::try_from(port.port?).ok());
    let addresses = super::addresses_in([slice]);
    ports
        .flat_map(|port| addresses.iter().map(move |ip| (*ip, port)))
        .collect()
}

/// Whose ClusterIP an address is, also of Services that another program balances.
#[derive(Debug, Default)]
pub(super) struct ClusterIps {
    of: BTreeMap<Arc<Key>, Ipv4Addr>,
    at: BTreeSet<(Ipv4Addr, Arc<Key>)>,
}

impl ClusterIps {
    /// Takes over what a Service is now, or that it is gone. The answer are the addresses that may be another's now.
    pub(super) fn follow(&mut self, key: &Key, service: Option<&Service>) -> Vec<Ipv4Addr> {
        let now = service.and_then(spec_address);
        if self.of.get(key).copied() == now {
            return Vec::new();
        }
        let mut changed = Vec::new();
        if let Some((key, old)) = self.of.remove_entry(key) {
            self.at.remove(&(old, key));
            changed.push(old);
        }
        if let Some(new) = now {
            let key = Arc::new(key.clone());
            self.of.insert(key.clone(), new);
            self.at.insert((new, key));
            changed.push(new);
        }
        changed
    }

    /// The other Service that has it.
    fn owner(&self, ip: Ipv4Addr, but: &Key) -> Option<&Arc<Key>> {
        let first = (ip, Arc::new(Key::default()));
        let here = self.at.range(first..).take_while(|(at, _)| *at == ip);
        here.map(|(_, key)| key).find(|key| ***key != *but)
    }

    /// Why a Service does not get what it names, if so.
    pub(super) fn refusal(
        &self,
        reserved: &Reserved,
        at: Frontend,
        service: &Key,
    ) -> Option<Refusal> {
        let owner = self.owner(at.ip, service).cloned();
        let owner = owner.map(Refusal::ClusterIp);
        owner.or_else(|| reserved.refusal(at))
    }
}
