//! What validation must know about the cluster. Read by the cluster crate; all of it is data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use gloonet_api::GlooNetworkSpec;
use ipnet::Ipv4Net;

/// The cluster as far as validation and rendering depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The operator's own release, the default of `spec.version`.
    pub operator_version: String,
    /// Of the GlooNetwork, once there is one: nobody outside the cluster can guess it.
    pub uid: String,
    /// The operator's own `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    pub api_server: Option<(String, u16)>,
    pub nodes: Vec<NodeFacts>,
    /// Known when it could be read (ServiceCIDR objects); otherwise overlap with services is not checked.
    pub service_cidrs: Vec<Ipv4Net>,
    /// Secrets the specification refers to, by name, in the platform's namespace; a missing entry is a missing Secret.
    pub secrets: BTreeMap<String, SecretFacts>,
    pub storage_classes: BTreeSet<String>,
    /// A StorageClass carries the default annotation.
    pub has_default_storage_class: bool,
    /// Role of the last accepted specification; a change is refused.
    pub previous_role: Option<String>,
    /// `clusterName` of the last accepted specification; a change is refused.
    pub previous_cluster_name: Option<String>,
    /// Routing mode of the last accepted specification, if Cilium runs by it; a change is refused unless it is confirmed.
    pub previous_routing_mode: Option<String>,
    /// The routing mode a person has confirmed a change to.
    pub confirmed_routing_mode: Option<String>,
}

impl ClusterFacts {
    /// A cluster in which nothing stands against the specification: Secrets and StorageClasses it names are there, with the keys
    /// that are needed, and there is nothing its ranges could overlap.
    pub fn supposed(spec: &GlooNetworkSpec) -> Self {
        Self {
            secrets: named_secrets(spec),
            storage_classes: named_storage_classes(spec),
            has_default_storage_class: true,
            ..Self::default()
        }
    }
}

/// Label of the nodes that agents run on.
pub const AGENT_NODES: (&str, &str) = ("kubernetes.io/os", "linux");

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    pub name: String,
    pub internal_ips: Vec<Ipv4Addr>,
    /// Agents run there: [`AGENT_NODES`] selects it.
    pub agent: bool,
}

/// The keys of one Secret, never its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFacts {
    pub keys: BTreeSet<String>,
}

fn named_secrets(spec: &GlooNetworkSpec) -> BTreeMap<String, SecretFacts> {
    let external = spec.redis.external.iter();
    let names = external.flat_map(|redis| {
        [
            redis.credentials_secret.clone(),
            redis.tls.ca_secret.clone(),
        ]
    });
    let keys = ["username", "password", "ca.crt"].map(str::to_owned);
    names
        .flatten()
        .map(|name| {
            (
                name,
                SecretFacts {
                    keys: keys.clone().into(),
                },
            )
        })
        .collect()
}

fn named_storage_classes(spec: &GlooNetworkSpec) -> BTreeSet<String> {
    let blocks = [
        &spec.redis.managed.persistence,
        &spec.prometheus.managed.storage,
    ];
    blocks
        .into_iter()
        .filter_map(|block| block.storage_class.clone())
        .collect()
}
