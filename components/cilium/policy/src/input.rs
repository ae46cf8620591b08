//! What the resolver is told about the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
};

/// Kinds of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKind {
    /// `networking.k8s.io/v1` NetworkPolicy.
    NetworkPolicy,
    /// `cilium.io/v2` CiliumNetworkPolicy.
    CiliumNetworkPolicy,
    /// `cilium.io/v2` CiliumClusterwideNetworkPolicy.
    CiliumClusterwideNetworkPolicy,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::CiliumNetworkPolicy => "CiliumNetworkPolicy",
            Self::CiliumClusterwideNetworkPolicy => "CiliumClusterwideNetworkPolicy",
        })
    }
}

/// Which policy object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// Kind of the object.
    pub kind: PolicyKind,
    /// Namespace; empty for a clusterwide policy.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        if namespace.is_empty() {
            write!(f, "{kind} {name}")
        } else {
            write!(f, "{kind} {namespace}/{name}")
        }
    }
}

/// A policy as a flow names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyRef {
    /// Which object.
    pub id: PolicyId,
    /// UID of the object.
    pub uid: String,
    /// Labels of the rule, `source:key=value`.
    pub labels: Vec<String>,
    /// `log.value` of the rules; empty if there is none.
    pub log: String,
}

/// Name of a CiliumCIDRGroup.
pub type CidrGroupName = String;

/// Port numbers by name and IP protocol; pods of one identity may disagree, then a name has several.
pub type NamedPorts = BTreeMap<(String, u8), BTreeSet<u16>>;

/// An endpoint of this node that has a policy map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId(pub u32);

/// What decides a subject's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Its identity; the labels come from [`crate::Repository::upsert_identity`].
    pub identity: u32,
    /// Its own named ports.
    pub named_ports: NamedPorts,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Labels of the Node object.
    pub labels: BTreeMap<String, String>,
    /// Every IPv4 address of the node.
    pub addresses: BTreeSet<Ipv4Addr>,
}

/// Which Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What `toServices` needs of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Labels of the Service.
    pub labels: BTreeMap<String, String>,
    /// Addresses behind it.
    pub backends: BTreeSet<Ipv4Addr>,
    /// Whether Kubernetes chooses its backends: then they are pods, never addresses outside the cluster.
    pub has_selector: bool,
}
