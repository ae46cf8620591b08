//! The root of the resource.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cilium::Cilium, gloo::Gloo, grafana::Grafana, images::Images, pause::Pause,
    prometheus::Prometheus, redis::Redis, status::GlooNetworkStatus, telemetry::Telemetry,
};

/// The only name a `GlooNetwork` may have.
pub const SINGLETON: &str = "default";

/// What this cluster's network platform shall be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "gloonetwork.io",
    version = "v1alpha1",
    kind = "GlooNetwork",
    plural = "gloonetworks",
    shortname = "glonet",
    status = "GlooNetworkStatus",
    derive = "PartialEq",
    doc = "One network platform: pod network, telemetry and what they need. Writing it counts as cluster administration.",
    validation = Rule::new("self.metadata.name == 'default'").message("a cluster has one GlooNetwork and its name is default: change that one instead of adding another"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.conditions[?(@.type==\"Available\")].status"),
    printcolumn(name = "Progressing", type_ = "string", json_path = ".status.conditions[?(@.type==\"Progressing\")].status"),
    printcolumn(name = "Degraded", type_ = "string", json_path = ".status.conditions[?(@.type==\"Degraded\")].status"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.role != 'Workload' || self.gloo.agent.state != 'Managed' || has(self.gloo.agent.managementAddress)").message("role is Workload: set gloo.agent.managementAddress to host:port of the management server, or gloo.agent.state to Removed"))]
#[x_kube(validation = Rule::new("self.role == 'Workload' || !has(self.gloo.agent.managementAddress)").message("gloo.agent.managementAddress is for role Workload: leave it out, the agent of this cluster speaks with the server of this cluster"))]
pub struct GlooNetworkSpec {
    /// Release to run. Absent: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Name of this cluster among others, an RFC 1123 label. Cannot change.
    #[schemars(length(min = 1, max = 63), pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterName cannot change: certificates and stored data carry it; delete the GlooNetwork and create it anew"))]
    pub cluster_name: String,
    /// What this cluster is for others. Cannot change.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("role cannot change: delete the GlooNetwork and create it anew"))]
    pub role: Role,
    /// Where images come from.
    #[serde(default)]
    pub images: Images,
    /// The pod network.
    #[serde(default)]
    pub cilium: Cilium,
    /// The management plane: one management server for many clusters, and the agent of this one.
    #[serde(default)]
    pub gloo: Gloo,
    /// OpenTelemetry gateway and collectors.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Redis.
    #[serde(default)]
    pub redis: Redis,
    /// Prometheus.
    #[serde(default)]
    pub prometheus: Prometheus,
    /// Grafana.
    #[serde(default)]
    pub grafana: Grafana,
    /// Hands off, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

impl GlooNetworkSpec {
    /// The smallest valid specification: everything else as the schema defaults it.
    pub fn named(cluster_name: &str) -> Self {
        Self {
            version: None,
            cluster_name: cluster_name.to_owned(),
            role: Role::default(),
            images: Images::default(),
            cilium: Cilium::default(),
            gloo: Gloo::default(),
            telemetry: Telemetry::default(),
            redis: Redis::default(),
            prometheus: Prometheus::default(),
            grafana: Grafana::default(),
            pause: None,
        }
    }
}

/// What a cluster is for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// Runs the management plane.
    Management,
    /// Is managed by another cluster.
    Workload,
    /// Both.
    #[default]
    Standalone,
}

impl Role {
    /// The word as it is written in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Workload => "Workload",
            Self::Standalone => "Standalone",
        }
    }
}
