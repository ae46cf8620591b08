//! Prometheus: ours, or one that is there already.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{redis::Persistence, resources::Resources};

/// Prometheus: ours, or one that is there already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.mode != 'External' || has(self.external)").message("prometheus.mode is External: set prometheus.external.address to the URL of the Prometheus to use"))]
pub struct Prometheus {
    /// Managed, External or Disabled.
    #[serde(default)]
    pub mode: PrometheusMode,
    /// Read when mode is Managed.
    #[serde(default)]
    pub managed: ManagedPrometheus,
    /// Read when mode is External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPrometheus>,
}

/// Who runs Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PrometheusMode {
    /// The operator installs one.
    #[default]
    Managed,
    /// Somebody else does; the operator measures that it works.
    External,
    /// Nobody.
    Disabled,
}

/// The Prometheus that the operator installs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ManagedPrometheus {
    /// How long samples are kept, as Prometheus writes durations.
    #[serde(default = "default_retention")]
    #[schemars(length(max = 16), pattern(r"^[0-9]+(ms|s|m|h|d|w|y)$"))]
    pub retention: String,
    /// Where blocks are kept.
    #[serde(default = "default_storage")]
    pub storage: Persistence,
    /// CPU and memory.
    #[serde(default = "prometheus_resources")]
    pub resources: Resources,
}

fn default_retention() -> String {
    "7d".to_owned()
}

fn prometheus_resources() -> Resources {
    Resources::of("100m", "256Mi", "1Gi")
}

impl Default for ManagedPrometheus {
    fn default() -> Self {
        Self {
            retention: default_retention(),
            storage: default_storage(),
            resources: prometheus_resources(),
        }
    }
}

fn default_storage() -> Persistence {
    Persistence {
        size: Quantity("8Gi".to_owned()),
        ..Persistence::default()
    }
}

/// A Prometheus that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!self.address.startsWith('https://')").message("prometheus.external.address begins with https://, and the platform asks Prometheus over http:// only: name an http:// address, if need be of a proxy in the cluster that speaks TLS to it"))]
pub struct ExternalPrometheus {
    /// URL, for example `http://prometheus.monitoring:9090`. `https://` is refused: the platform's programs hold no certificate
    /// authorities. Never receives a ServiceAccount token.
    #[schemars(length(min = 1, max = 512), pattern(r"^https?://[^\s]+$"))]
    pub address: String,
}
