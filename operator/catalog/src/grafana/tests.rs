use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};

const POD: &str = "gloo-mesh/grafana-0";

fn healthy() -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = Grafana
        .probes(&input())
        .iter()
        .map(|probe| answered(&probe.name, POD, &[]))
        .collect();
    observed
}

#[test]
fn health_data_source_and_every_dashboard_present_is_healthy() {
    let health = Grafana.health(&input(), &healthy());
    assert_eq!(
        (health.state, health.message.as_str()),
        (State::Healthy, "serves 9 dashboards")
    );
}

#[test]
fn a_missing_dashboard_is_named() {
    let mut observed = healthy();
    let lost = observed
        .probes
        .iter_mut()
        .find(|result| result.probe == "dashboard-gloonet-telemetry")
        .unwrap();
    *lost = failed("dashboard-gloonet-telemetry", POD, "status 404");
    observed.earlier.clone_from(&observed.probes);
    let health = Grafana.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("gloonet-telemetry"),
        "{}",
        health.message
    );
}

#[test]
fn the_managed_grafana_mounts_the_operators_dashboard_too() {
    let objects = Grafana.objects(&input()).unwrap();
    let pod = named(&objects, "Deployment", "grafana").data["spec"]["template"]["spec"].to_string();
    assert!(pod.contains("gloonet-dashboard-operator"), "{pod}");
}

#[test]
fn dashboards_only_renders_config_maps_and_nothing_else() {
    let input = input_of(|spec| spec.grafana.mode = GrafanaMode::DashboardsOnly);
    let objects = Grafana.objects(&input).unwrap();
    assert!(
        objects
            .iter()
            .all(|object| object.types.as_ref().unwrap().kind == "ConfigMap")
    );
    assert_eq!(objects.len(), 8);
    let label = objects[0]
        .metadata
        .labels
        .as_ref()
        .unwrap()
        .get("grafana_dashboard");
    assert_eq!(label.map(String::as_str), Some("1"));
    assert!(Grafana.probes(&input).is_empty());
}

#[test]
fn the_data_source_points_at_the_prometheus_in_use() {
    let (datasources, _) = objects::provisioning(&input()).unwrap();
    let file: serde_json::Value = serde_norway::from_str(&datasources).unwrap();
    assert_eq!(
        file["datasources"][0]["url"],
        "http://prometheus-server.gloo-mesh.svc:80"
    );
}
