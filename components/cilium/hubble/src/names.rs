//! What addresses, identities and cookies are called. The agent knows; this crate asks.

use std::{net::IpAddr, sync::Arc};

/// The answers a flow is filled from.
///
/// Guarantees asked of an implementation: no call blocks, and [`Names::endpoint`] takes well under a microsecond, because it
/// is asked once for each address of each event while the event is recorded. So is [`Names::identity_labels`], where metrics have
/// labels of identities. The other calls are made when a client reads.
pub trait Names: Send + Sync + 'static {
    /// Who has this address, on this node or on another. Asked when the event happens: the address may be another pod's
    /// when a client reads the flow.
    fn endpoint(&self, address: IpAddr) -> Option<Arc<Endpoint>>;

    /// The labels of an identity, `source:key=value`. Local CIDR identities have `cidr:` labels. Reserved identities need
    /// no answer.
    fn identity_labels(&self, identity: u32) -> Option<Arc<[String]>>;

    /// The service that answers at an address, a port and an IP protocol.
    fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<ServiceName>;

    /// The policies a verdict's cookie stands for. A cookie is not given to other policies while the ring may hold it.
    fn policies(&self, cookie: u32) -> Vec<Policy>;

    /// The name of a link of this node.
    fn interface(&self, index: u32) -> Option<String>;
}

/// Who has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint's number when it is on this node, else 0.
    pub id: u16,
    pub identity: u32,
    /// Empty for what is not a pod.
    pub namespace: String,
    /// Empty for what is not a pod.
    pub pod: String,
    /// Empty when the identity's labels say all.
    pub labels: Vec<String>,
    pub workloads: Vec<Workload>,
}

/// What a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub kind: String,
    pub name: String,
}

/// A service, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    pub namespace: String,
    pub name: String,
}

/// A policy that took part in a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub kind: String,
    /// Empty for a policy of the cluster.
    pub namespace: String,
    pub name: String,
    pub labels: Vec<String>,
    pub revision: u64,
}

/// A node, as its peers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub cluster: String,
    pub name: String,
    /// Where its Hubble server is, without the port.
    pub address: Option<IpAddr>,
}

impl Node {
    /// `cluster/node`, as flows name it.
    pub fn absolute(&self) -> String {
        format!("{}/{}", self.cluster, self.name)
    }

    /// As peers name it: without the cluster when that is `default`.
    pub fn full(&self) -> String {
        if self.cluster == "default" {
            self.name.clone()
        } else {
            self.absolute()
        }
    }
}
