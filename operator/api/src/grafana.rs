//! Grafana: ours, only its dashboards, or none.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resources::Resources;

/// Grafana: ours, only its dashboards, or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Grafana {
    /// Managed, DashboardsOnly or Disabled.
    #[serde(default)]
    pub mode: GrafanaMode,
    /// Read when mode is Managed.
    #[serde(default)]
    pub managed: ManagedGrafana,
}

/// How much of Grafana is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrafanaMode {
    /// Server, data source and dashboards.
    #[default]
    Managed,
    /// ConfigMaps with the label `grafana_dashboard`, for a Grafana of yours to pick up.
    DashboardsOnly,
    /// Nothing.
    Disabled,
}

/// The Grafana that the operator installs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ManagedGrafana {
    /// CPU and memory.
    #[serde(default = "grafana_resources")]
    pub resources: Resources,
}

fn grafana_resources() -> Resources {
    Resources::of("50m", "96Mi", "384Mi")
}

impl Default for ManagedGrafana {
    fn default() -> Self {
        Self {
            resources: grafana_resources(),
        }
    }
}
