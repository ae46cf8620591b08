use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use gloonet_api::ManagementState;
use gloonet_api::prometheus::ExternalPrometheus;
use serde::Deserialize;

use super::*;
use crate::component::tests::{answered, input, input_of, named, program, run, running};
use crate::{State, gateway};

const POD: &str = "gloo-mesh/prometheus-server-0";

fn seen(jobs: &[(&str, f64)]) -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![answered(READY, POD, &[]), answered(JOBS_UP, POD, jobs)];
    observed
}

#[test]
fn ready_with_its_own_job_up_is_healthy_while_the_rest_is_not_installed_yet() {
    assert_eq!(
        Prometheus
            .health(&input(), &seen(&[("prometheus", 1.0)]))
            .state,
        State::Healthy
    );
}

#[test]
fn a_job_is_demanded_once_its_workload_is_up() {
    let mut observed = seen(&[("prometheus", 1.0)]);
    observed
        .workloads
        .extend(running(&gateway::WORKLOAD, 1).workloads);
    let health = Prometheus.health(&input(), &observed);
    assert_eq!(health.state, State::Progressing);
    assert!(
        health
            .message
            .contains("gloo-telemetry-gateway has no target"),
        "{}",
        health.message
    );
    assert!(health.serves, "what comes later waits for a scrape");
}

#[test]
fn without_a_ready_pod_nobody_goes_on() {
    let mut observed = seen(&[]);
    observed.probes.remove(0);
    assert!(!Prometheus.health(&input(), &observed).serves);
}

#[test]
fn a_target_that_is_down_is_counted() {
    let health = Prometheus.health(&input(), &seen(&[("prometheus", 0.5)]));
    assert_eq!(health.state, State::Progressing);
    assert!(health.message.contains("50 %"), "{}", health.message);
}

#[test]
fn an_external_prometheus_renders_nothing_and_is_asked_at_its_address() {
    let input = input_of(|spec| {
        spec.prometheus.mode = PrometheusMode::External;
        spec.prometheus.external = Some(ExternalPrometheus {
            address: "http://prometheus.example.org/".to_owned(),
        });
    });
    assert!(Prometheus.objects(&input).unwrap().is_empty());
    assert_eq!(
        Prometheus.probes(&input)[0].target,
        ProbeTarget::Address("http://prometheus.example.org".to_owned())
    );
}

#[test]
fn it_has_no_token_and_no_role() {
    let objects = Prometheus.objects(&input()).unwrap();
    assert!(
        objects
            .iter()
            .all(|object| !object.types.as_ref().unwrap().kind.contains("Role"))
    );
    let pod = &named(&objects, "Deployment", "prometheus-server").data["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
}

#[test]
fn every_job_finds_its_targets_by_a_service_that_is_rendered() {
    let objects = Prometheus.objects(&input()).unwrap();
    let configuration = config::configuration(&input()).unwrap();
    for job in config::jobs(&input()) {
        let service = named(&objects, "Service", &job.service());
        let host = format!(
            "{}.{}.svc",
            job.service(),
            service.metadata.namespace.as_deref().unwrap()
        );
        assert!(
            configuration.contains(&format!("names: [{host}]")),
            "{host}"
        );
        assert_eq!(service.data["spec"]["clusterIP"], "None");
    }
}

#[test]
fn without_cilium_kube_system_is_left_alone() {
    let input = input_of(|spec| spec.cilium.state = ManagementState::Removed);
    let objects = Prometheus.objects(&input).unwrap();
    assert!(
        objects
            .iter()
            .all(|object| object.metadata.namespace.as_deref() != Some("kube-system"))
    );
    assert!(
        !config::configuration(&input)
            .unwrap()
            .contains("kube-system")
    );
}

#[test]
fn promtool_accepts_the_rendered_configuration_and_the_alert_rules() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    for input in [
        input(),
        input_of(|spec| spec.cilium.state = ManagementState::Removed),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("alerts.yaml");
        std::fs::write(&rules, config::ALERTS).unwrap();
        let rendered = config::configuration(&input).unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(
            &file,
            rendered.replace("/etc/prometheus/alerts.yaml", rules.to_str().unwrap()),
        )
        .unwrap();
        run(Command::new(&promtool).args(["check", "config"]).arg(&file));
        run(Command::new(&promtool).args(["check", "rules"]).arg(&rules));
    }
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
struct RuleGroup {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    /// Absent in a recording rule.
    alert: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RuleTests {
    tests: Vec<RuleTest>,
}

#[derive(Deserialize)]
struct RuleTest {
    alert_rule_test: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    alertname: String,
    exp_alerts: Vec<serde_json::Value>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The alerts by name.
fn alerts() -> BTreeMap<String, Rule> {
    let rules: Rules = serde_norway::from_str(config::ALERTS).unwrap();
    let all = rules.groups.into_iter().flat_map(|group| group.rules);
    all.filter_map(|rule| Some((rule.alert.clone()?, rule)))
        .collect()
}

/// What a link to a heading of the page would name, as GitHub makes it of words without signs.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    headings
        .map(|heading| heading.trim().to_lowercase().replace(' ', "-"))
        .collect()
}

#[test]
fn every_unit_test_of_the_alert_rules_passes() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let file = root().join("dashboards/alerts.test.yaml");
    run(Command::new(promtool).args(["test", "rules"]).arg(file));
}

#[test]
fn every_query_of_an_insight_is_understood_and_those_over_time_see_what_they_are_for() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let queries = gloo_insights::queries().into_iter();
    let recorded: Vec<serde_json::Value> = queries
        .map(|query| {
            let record = format!("insight:{}", query.name.replace('-', "_"));
            serde_json::json!({"record": record, "expr": query.text})
        })
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "insights", "rules": recorded}]});
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("insights.yaml"), rules.to_string()).unwrap();
    let file = folder.path().join("insights.test.yaml");
    std::fs::copy(root().join("dashboards/insights.test.yaml"), &file).unwrap();
    run(Command::new(promtool).args(["test", "rules"]).arg(file));
}

#[test]
fn every_alert_has_a_severity_a_runbook_that_exists_and_unit_tests_that_fire_it_and_that_do_not() {
    let tests: RuleTests =
        serde_norway::from_str(include_str!("../../../../dashboards/alerts.test.yaml")).unwrap();
    let tested: Vec<Expected> = tests
        .tests
        .into_iter()
        .flat_map(|test| test.alert_rule_test)
        .collect();
    let alerts = alerts();
    assert!(!alerts.is_empty());
    for (name, rule) in &alerts {
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning")),
            "{name}: severity {severity:?}"
        );
        let (page, anchor) = rule
            .annotations
            .get("runbook")
            .and_then(|place| place.split_once('#'))
            .unwrap_or_else(|| panic!("{name} names no runbook"));
        assert!(page.starts_with("docs/runbooks/"), "{name}: {page}");
        let text = std::fs::read_to_string(root().join(page))
            .unwrap_or_else(|error| panic!("{name}: {page}: {error}"));
        assert!(
            anchors(&text).contains(anchor),
            "{name}: {page} has no section {anchor}"
        );
        for fires in [true, false] {
            assert!(
                tested
                    .iter()
                    .any(|one| one.alertname == *name && one.exp_alerts.is_empty() != fires),
                "{name}: no unit test with fires = {fires}"
            );
        }
    }
    for one in &tested {
        assert!(
            alerts.contains_key(&one.alertname),
            "a unit test of {}, which is no alert",
            one.alertname
        );
    }
}
