//! The pod network.

mod hubble;
mod load_balancer;
mod routing;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    resources::Resources,
    switch::{ManagementState, Switch},
};

pub use hubble::{Hubble, HubbleRelay};
pub use load_balancer::{Algorithm, LoadBalancer};
pub use routing::{Mtu, Routing, RoutingMode};

/// The pod network: agent on every node, CNI plugin, and the cluster-wide operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cilium {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// How packets get from node to node.
    #[serde(default)]
    pub routing: Routing,
    /// Which endpoint answers a client of a Service.
    #[serde(default)]
    pub load_balancer: LoadBalancer,
    /// Where pod addresses come from.
    #[serde(default)]
    pub ipam: Ipam,
    /// How nodes reach the API server before there is a service network. Absent: as the operator itself reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_service: Option<KubernetesService>,
    /// Whether Cilium serves ClusterIP itself, in place of kube-proxy.
    #[serde(default = "Switch::enabled")]
    pub kube_proxy_replacement: Switch,
    /// What the agents show of the flows they see.
    #[serde(default)]
    pub hubble: Hubble,
    /// How fast a new agent goes over the nodes.
    #[serde(default)]
    pub rollout: Rollout,
    /// CPU and memory of the agent.
    #[serde(default = "agent_resources")]
    pub resources: Resources,
    /// The cluster-wide part.
    #[serde(default)]
    pub operator: CiliumOperator,
}

impl Default for Cilium {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            routing: Routing::default(),
            load_balancer: LoadBalancer::default(),
            ipam: Ipam::default(),
            kubernetes_service: None,
            kube_proxy_replacement: Switch::Enabled,
            hubble: Hubble::default(),
            rollout: Rollout::default(),
            resources: agent_resources(),
            operator: CiliumOperator::default(),
        }
    }
}

fn agent_resources() -> Resources {
    Resources::of("100m", "128Mi", "512Mi")
}

/// Where pod addresses come from: every node gets one block of `maskSize` out of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ipam {
    /// IPv4 ranges of the pool, in the order they are used. More may be added later; one that nodes
    /// hold addresses of is kept.
    #[serde(default = "default_pool", rename = "clusterPoolIPv4CIDRs")]
    #[schemars(length(min = 1, max = 16), inner(length(max = 18)))]
    pub cluster_pool_ipv4_cidrs: Vec<String>,
    /// Prefix length of one node's block.
    #[serde(default = "default_mask_size")]
    #[schemars(range(min = 8, max = 30))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cilium.ipam.maskSize cannot change: nodes already hold blocks of the old size"))]
    #[schemars(extend("format" = "int32"))]
    pub mask_size: u8,
}

fn default_pool() -> Vec<String> {
    vec!["10.244.0.0/16".to_owned()]
}

fn default_mask_size() -> u8 {
    24
}

impl Default for Ipam {
    fn default() -> Self {
        Self {
            cluster_pool_ipv4_cidrs: default_pool(),
            mask_size: default_mask_size(),
        }
    }
}

/// Address of the API server that works without a service network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct KubernetesService {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// TCP port.
    #[serde(default = "default_api_port")]
    #[schemars(range(min = 1))]
    #[schemars(extend("format" = "int32"))]
    pub port: u16,
}

fn default_api_port() -> u16 {
    6443
}

/// How fast a new agent goes over the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Nodes whose agent may be down at once.
    #[serde(default = "default_max_unavailable")]
    #[schemars(range(min = 1))]
    #[schemars(extend("format" = "int32"))]
    pub max_unavailable: u16,
    /// Seconds a new agent must stay ready before the next node is touched.
    #[serde(default = "default_soak_seconds")]
    #[schemars(range(max = 3600))]
    #[schemars(extend("format" = "int32"))]
    pub soak_seconds: u16,
}

fn default_max_unavailable() -> u16 {
    1
}

fn default_soak_seconds() -> u16 {
    30
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            max_unavailable: default_max_unavailable(),
            soak_seconds: default_soak_seconds(),
        }
    }
}

/// The cluster-wide part of Cilium: address pools, identities, garbage collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct CiliumOperator {
    /// Pods; one works, the others stand by.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 5))]
    #[schemars(extend("format" = "int32"))]
    pub replicas: u16,
    /// CPU and memory.
    #[serde(default = "operator_resources")]
    pub resources: Resources,
}

fn default_replicas() -> u16 {
    2
}

fn operator_resources() -> Resources {
    Resources::of("50m", "64Mi", "256Mi")
}

impl Default for CiliumOperator {
    fn default() -> Self {
        Self {
            replicas: default_replicas(),
            resources: operator_resources(),
        }
    }
}
