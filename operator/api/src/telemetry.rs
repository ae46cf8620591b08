//! OpenTelemetry gateway and collectors.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    extra::ExtraConfig,
    gloo::ServiceType,
    resources::Resources,
    switch::{ManagementState, Switch},
};

/// OpenTelemetry gateway and collectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Telemetry {
    /// Receives what the collectors of all clusters send.
    #[serde(default)]
    pub gateway: Gateway,
    /// One per node; scrapes and sends to the gateway.
    #[serde(default)]
    pub collectors: Collectors,
    /// The way of log records from the gateway to Redis.
    #[serde(default)]
    pub logs: Logs,
}

/// The way of log records from the gateway to Redis: the sidecar `redis-sink` of the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Logs {
    /// Enabled: the gateway takes log records and keeps them in Redis, where there is one.
    #[serde(default = "Switch::enabled")]
    pub state: Switch,
    /// CPU and memory of the sidecar.
    #[serde(default = "sink_resources")]
    pub resources: Resources,
}

fn sink_resources() -> Resources {
    Resources::of("20m", "32Mi", "128Mi")
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            state: Switch::Enabled,
            resources: sink_resources(),
        }
    }
}

/// Receives what the collectors of all clusters send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Gateway {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// Pods.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 16))]
    #[schemars(extend("format" = "int32"))]
    pub replicas: u16,
    /// How collectors of other clusters reach it.
    #[serde(default)]
    pub service: GatewayService,
    /// Receivers, processors, exporters and pipelines of your own.
    #[serde(default)]
    pub extra: ExtraConfig,
    /// CPU and memory.
    #[serde(default = "gateway_resources")]
    pub resources: Resources,
}

fn default_replicas() -> u16 {
    1
}

fn gateway_resources() -> Resources {
    Resources::of("100m", "128Mi", "512Mi")
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            replicas: default_replicas(),
            service: GatewayService::default(),
            extra: ExtraConfig::default(),
            resources: gateway_resources(),
        }
    }
}

/// How collectors of other clusters reach the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct GatewayService {
    /// Type of the Service `gloo-telemetry-gateway`. Whoever reaches it still has to show a certificate or a token.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
}

/// One per node; scrapes and sends to the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Collectors {
    /// Managed or Removed.
    #[serde(default)]
    pub state: ManagementState,
    /// Where the telemetry gateway is, as `host:port` (its port for other clusters is 4320). For role Workload only, which needs
    /// it; elsewhere the gateway is the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 260))]
    pub gateway_address: Option<String>,
    /// Which of its pipelines run.
    #[serde(default)]
    pub pipelines: Pipelines,
    /// Receivers, processors, exporters and pipelines of your own.
    #[serde(default)]
    pub extra: ExtraConfig,
    /// CPU and memory.
    #[serde(default = "collector_resources")]
    pub resources: Resources,
}

fn collector_resources() -> Resources {
    Resources::of("50m", "96Mi", "256Mi")
}

impl Default for Collectors {
    fn default() -> Self {
        Self {
            state: ManagementState::default(),
            gateway_address: None,
            pipelines: Pipelines::default(),
            extra: ExtraConfig::default(),
            resources: collector_resources(),
        }
    }
}

/// Pipelines of the collectors, by the names they have in the collector's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pipelines {
    /// `logs/analyzer`: what the analyzer of this cluster reports. It cannot be without.
    #[serde(default = "Switch::enabled")]
    pub logs_analyzer: Switch,
    /// `logs/cilium_flows`: the flows of every node, kept in Redis for a while. Agents write them to files of their nodes, which collectors
    /// read, so namespace `gloo-mesh` has to let pods have a folder of the node.
    #[serde(default = "Switch::disabled")]
    pub logs_cilium_flows: Switch,
    /// `metrics/ui`: of Cilium, Hubble and the collector itself what dashboards, alerts, dry runs and insights ask for, scraped every 15 s.
    #[serde(default = "Switch::enabled")]
    pub metrics_ui: Switch,
    /// `metrics/cilium`: all the rest that Cilium and Hubble export, for dashboards of your own. Without `metrics/ui` all of it.
    #[serde(default = "Switch::disabled")]
    pub metrics_cilium: Switch,
    /// `metrics/otlp_relay`: OTLP metrics of anybody in the cluster who shows a certificate of the operator's authority.
    #[serde(default = "Switch::disabled")]
    pub metrics_otlp_relay: Switch,
}

impl Default for Pipelines {
    fn default() -> Self {
        Self {
            logs_analyzer: Switch::Enabled,
            logs_cilium_flows: Switch::Disabled,
            metrics_ui: Switch::Enabled,
            metrics_cilium: Switch::Disabled,
            metrics_otlp_relay: Switch::Disabled,
        }
    }
}
