//! Dashboards as ConfigMaps: with the label that Grafana's sidecar looks for, and mounted by the managed Grafana.

use kube_core::DynamicObject;
use serde_json::json;

use crate::RenderError;
use crate::object::Builder;

/// One dashboard file of `dashboards/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dashboard {
    pub(crate) config_map: &'static str,
    pub(crate) file: &'static str,
    pub(crate) uid: &'static str,
    pub(crate) json: &'static str,
}

pub(crate) const OPERATOR: Dashboard = Dashboard {
    config_map: "gloonet-dashboard-operator",
    file: "operator.json",
    uid: "gloonet-operator",
    json: include_str!("../../../dashboards/operator.json"),
};

/// Those of what the operator installs.
pub(crate) const OPERANDS: [Dashboard; 8] = [
    Dashboard {
        config_map: "gloonet-dashboard-management-plane",
        file: "management-plane.json",
        uid: "gloonet-management-plane",
        json: include_str!("../../../dashboards/management-plane.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-insights",
        file: "insights.json",
        uid: "gloonet-insights",
        json: include_str!("../../../dashboards/insights.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-certificates",
        file: "certificates.json",
        uid: "gloonet-certificates",
        json: include_str!("../../../dashboards/certificates.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-cilium-agent",
        file: "cilium-agent.json",
        uid: "gloonet-cilium-agent",
        json: include_str!("../../../dashboards/cilium-agent.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-cilium-policy",
        file: "cilium-policy.json",
        uid: "gloonet-cilium-policy",
        json: include_str!("../../../dashboards/cilium-policy.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-hubble",
        file: "hubble.json",
        uid: "gloonet-hubble",
        json: include_str!("../../../dashboards/hubble.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-telemetry",
        file: "telemetry.json",
        uid: "gloonet-telemetry",
        json: include_str!("../../../dashboards/telemetry.json"),
    },
    Dashboard {
        config_map: "gloonet-dashboard-stores",
        file: "stores.json",
        uid: "gloonet-stores",
        json: include_str!("../../../dashboards/stores.json"),
    },
];

/// The ConfigMap of one dashboard.
pub(crate) fn config_map(
    builder: &Builder,
    dashboard: &Dashboard,
    namespace: &str,
) -> Result<DynamicObject, RenderError> {
    let metadata = json!({"name": dashboard.config_map, "namespace": namespace, "labels": {"grafana_dashboard": "1"}});
    builder.object(
        ("v1", "ConfigMap"),
        metadata,
        json!({"data": {dashboard.file: dashboard.json}}),
    )
}

#[cfg(test)]
mod tests;
