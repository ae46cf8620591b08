use gloonet_api::MESH_NAMESPACE;
use gloonet_api::grafana::GrafanaMode;

use super::{DATASOURCE, HEALTH, WORKLOAD, dashboard_probe, shown};
use crate::health::{all_answered, worst};
use crate::{Health, Input, Observed, dashboards, workload_health};

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    if input.spec.grafana.mode == GrafanaMode::DashboardsOnly {
        return config_maps(observed);
    }
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let mut health = worst(pods, all_answered(observed, HEALTH, true));
    health = worst(health, all_answered(observed, DATASOURCE, true));
    for dashboard in shown() {
        health = worst(
            health,
            all_answered(observed, &dashboard_probe(dashboard), true),
        );
    }
    health.or_message(format!("serves {} dashboards", shown().count()))
}

fn config_maps(observed: &Observed) -> Health {
    let wanted: Vec<String> = dashboards::OPERANDS
        .iter()
        .map(|dashboard| format!("{MESH_NAMESPACE}/{}", dashboard.config_map))
        .collect();
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|name| !observed.config_maps.contains(name))
        .map(String::as_str)
        .collect();
    let desired = i32::try_from(wanted.len()).unwrap_or(i32::MAX);
    let ready = desired - i32::try_from(missing.len()).unwrap_or(i32::MAX);
    if missing.is_empty() {
        return Health::healthy(format!("{ready} dashboards offered")).counted(ready, desired);
    }
    Health::progressing(format!("missing: ConfigMap {}", missing.join(", ")))
        .counted(ready, desired)
}
