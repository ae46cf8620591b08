//! Grafana: ours with data source and dashboards provisioned, only the dashboards, or nothing.
//!
//! Owns Deployment, Service, provisioning files and the dashboards' ConfigMaps. Port: 3000.

mod health;
mod objects;

use gloonet_api::grafana::GrafanaMode;
use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, HttpCheck, Input, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, SecretKeyRef, WorkloadKind, WorkloadRef, dashboards, trust,
};

const PORT: u16 = 3000;
const HEALTH: &str = "health";
const DATASOURCE: &str = "datasource";
/// Uid of the provisioned data source, which every dashboard's variable defaults to.
const DATASOURCE_UID: &str = "gloonet-prometheus";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: "grafana",
    pod_label: ("app", "grafana"),
};

#[derive(Debug)]
pub(crate) struct Grafana;

impl Component for Grafana {
    fn id(&self) -> ComponentId {
        ComponentId::Grafana
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::Prometheus,
            ComponentId::OperatorDashboard,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.manages() && input.spec.grafana.mode != GrafanaMode::Disabled
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        match input.spec.grafana.mode {
            GrafanaMode::Managed => objects::all(input),
            GrafanaMode::DashboardsOnly => objects::dashboards_only(),
            GrafanaMode::Disabled => Ok(Vec::new()),
        }
    }

    fn probes(&self, input: &Input) -> Vec<Probe> {
        if input.spec.grafana.mode != GrafanaMode::Managed {
            return Vec::new();
        }
        let pods = || {
            ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                PORT,
            ))
        };
        let key = |key: &str| SecretKeyRef::new(WORKLOAD.namespace, trust::GRAFANA_ADMIN, key);
        let asked = |name: String, path: String, wanted: String| Probe {
            name,
            target: pods(),
            kind: ProbeKind::Http(HttpCheck {
                path,
                body_contains: Some(wanted),
                basic_auth: Some((key("username"), key("password"))),
            }),
        };
        let mut probes = vec![
            Probe {
                name: HEALTH.to_owned(),
                target: pods(),
                kind: ProbeKind::Http(HttpCheck::path("/api/health")),
            },
            asked(
                DATASOURCE.to_owned(),
                format!("/api/datasources/uid/{DATASOURCE_UID}"),
                DATASOURCE_UID.to_owned(),
            ),
        ];
        for dashboard in shown() {
            let path = format!("/api/dashboards/uid/{}", dashboard.uid);
            probes.push(asked(
                dashboard_probe(dashboard),
                path,
                dashboard.uid.to_owned(),
            ));
        }
        probes
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

fn shown() -> impl Iterator<Item = &'static dashboards::Dashboard> {
    std::iter::once(&dashboards::OPERATOR).chain(&dashboards::OPERANDS)
}

fn dashboard_probe(dashboard: &dashboards::Dashboard) -> String {
    format!("dashboard-{}", dashboard.uid)
}

#[cfg(test)]
mod tests;
