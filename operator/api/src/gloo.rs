//! The management plane: one management server for many clusters, and the agent of this one.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    resources::Resources,
    switch::{ManagementState, Switch},
};

/// The management plane: one management server for many clusters, and the agent of this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gloo {
    /// Computes what all clusters shall be. Not read where role is Workload.
    #[serde(default)]
    pub management_server: ManagementServer,
    /// Tells the management server what is here, and applies here what it says.
    #[serde(default)]
    pub agent: Agent,
    /// Looks at Cilium, certificates, images, nodes and policies, and reports what it finds.
    #[serde(default)]
    pub analyzer: Analyzer,
    /// Says what to do about what analyzers of all clusters find. Not read where role is Workload.
    #[serde(default)]
    pub insights: Insights,
}

/// Looks at Cilium, certificates, images, nodes and policies, and reports what it finds. Needs the collectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analyzer {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// Seconds between two looks.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 5, max = 3600))]
    #[schemars(extend("format" = "int32"))]
    pub interval_seconds: u16,
    /// CPU and memory.
    #[serde(default = "analyzer_resources")]
    pub resources: Resources,
}

fn default_interval() -> u16 {
    20
}

fn analyzer_resources() -> Resources {
    Resources::of("20m", "64Mi", "256Mi")
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            interval_seconds: default_interval(),
            resources: analyzer_resources(),
        }
    }
}

/// Says what to do about what analyzers of all clusters find. Needs the management server, Redis and the way of logs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Insights {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// CPU and memory.
    #[serde(default = "insights_resources")]
    pub resources: Resources,
}

fn insights_resources() -> Resources {
    Resources::of("20m", "64Mi", "512Mi")
}

impl Default for Insights {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            resources: insights_resources(),
        }
    }
}

/// Computes what all clusters shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagementServer {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// Pods. Agents spread over them and move when one goes.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 16))]
    #[schemars(extend("format" = "int32"))]
    pub replicas: u16,
    /// How agents of other clusters reach it.
    #[serde(default)]
    pub service: RelayService,
    /// After the loss of its store the server writes nothing to a cluster that it has not heard from since. Disabled: it
    /// waits for nobody.
    #[serde(default = "Switch::enabled")]
    pub safe_mode: Switch,
    /// CPU and memory.
    #[serde(default = "server_resources")]
    pub resources: Resources,
}

fn default_replicas() -> u16 {
    1
}

fn server_resources() -> Resources {
    Resources::of("125m", "256Mi", "1Gi")
}

impl Default for ManagementServer {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            replicas: default_replicas(),
            service: RelayService::default(),
            safe_mode: Switch::enabled(),
            resources: server_resources(),
        }
    }
}

/// How agents of other clusters reach the management server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct RelayService {
    /// Type of the Service `gloo-mesh-mgmt-server`. Whoever reaches it still has to show a certificate or a token.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
}

/// Type of a Service, as Kubernetes names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster only, or by what somebody else puts in front.
    #[default]
    ClusterIP,
    /// A port of every node.
    NodePort,
    /// An address from the cloud's, or another, load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The word Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Tells the management server what is here, and applies here what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// Where the management server is, as `host:port`. For role Workload only, which needs it; elsewhere the server is the
    /// cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 260))]
    pub management_address: Option<String>,
    /// CPU and memory.
    #[serde(default = "agent_resources")]
    pub resources: Resources,
}

fn agent_resources() -> Resources {
    Resources::of("50m", "128Mi", "512Mi")
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            management_address: None,
            resources: agent_resources(),
        }
    }
}
