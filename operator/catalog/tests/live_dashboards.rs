//! The dashboards against the Prometheus of a running platform: every metric of `dashboards/metrics.toml`, every panel's
//! query, every variable.
//!
//! Needs the lab with the platform up, and traffic that policies dropped and resources that were translated in the last minutes:
//! suite `shared` of testing/e2e leaves both behind. `cargo test -p gloonet-catalog --test live_dashboards -- --ignored`, with `KUBECONFIG` set or the default
//! lab running.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: a failure shall end it with its reason"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

const DEFAULT_LAB: &str = "/var/lib/gloonet-lab/default/admin.kubeconfig";
/// Two scrapes and a relayed one after the last component came up.
const PATIENCE: Duration = Duration::from_secs(90);
const SERVER: &str = "/api/v1/namespaces/gloo-mesh/services/prometheus-server:http/proxy/api/v1";

/// Panels that show nothing while all is well: dashboard, title, and what has to happen first.
const QUIET: [(&str, &str, &str); 11] = [
    (
        "cilium-policy",
        "Packets without a policy",
        "an endpoint whose policy program is not there",
    ),
    (
        "hubble",
        "Dropped share",
        "packets dropped between pods of workloads",
    ),
    (
        "hubble",
        "Pairs denied most",
        "packets dropped between pods of workloads",
    ),
    (
        "insights",
        "Findings not followed",
        "a rule that finds more than is followed",
    ),
    (
        "management-plane",
        "Could not be sent",
        "a gateway or a Redis that is away",
    ),
    (
        "management-plane",
        "Translation errors",
        "a resource that cannot be translated",
    ),
    (
        "management-plane",
        "Translation warnings",
        "a resource that is translated in part",
    ),
    (
        "operator",
        "Components that are not healthy",
        "a component that is not healthy",
    ),
    ("operator", "Failing probes", "a probe that fails"),
    (
        "telemetry",
        "Errors at Redis",
        "a Redis that refuses or is away",
    ),
    (
        "telemetry",
        "Points that could not be sent",
        "a gateway that is away",
    ),
];

#[derive(Deserialize)]
struct Index {
    exporters: BTreeMap<String, Exporter>,
}

#[derive(Deserialize)]
struct Exporter {
    job: String,
    metrics: Vec<String>,
}

fn get(path: &str) -> Value {
    let home = std::env::var_os("GLOONET_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gloonet")))
        .unwrap();
    let config = std::env::var_os("KUBECONFIG").unwrap_or_else(|| DEFAULT_LAB.into());
    let output = Command::new(home.join("bin/kubectl"))
        .env("KUBECONFIG", config)
        .args(["get", "--raw", path])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{path}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of the metrics that one job has right now.
fn names(job: &str) -> Vec<String> {
    values("__name__", &format!("{{job=\"{job}\"}}"))
}

/// Values of one label among the series that match.
fn values(label: &str, series: &str) -> Vec<String> {
    let answer = get(&format!(
        "{SERVER}/label/{label}/values?match[]={}",
        escaped(series)
    ));
    let values = answer["data"].as_array().unwrap();
    values
        .iter()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

/// Whether an instant query yields a number.
fn has_data(query: &str) -> bool {
    let answer = get(&format!("{SERVER}/query?query={}", escaped(query)));
    let samples = answer["data"]["result"].as_array().unwrap();
    samples
        .iter()
        .any(|sample| sample["value"][1].as_str() != Some("NaN"))
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

struct Dashboard {
    name: String,
    content: Value,
}

fn dashboards() -> Vec<Dashboard> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards");
    let mut all = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            all.push(Dashboard {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                content: serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
            });
        }
    }
    all
}

impl Dashboard {
    /// Name and query of each variable that is asked for.
    fn variables(&self) -> Vec<(String, String)> {
        let list = self.content["templating"]["list"].as_array().unwrap();
        let asked = list.iter().filter(|one| one["type"] == "query");
        asked
            .map(|one| {
                let query = one["query"]["query"].as_str().unwrap();
                (one["name"].as_str().unwrap().to_owned(), query.to_owned())
            })
            .collect()
    }

    /// Title and queries of each panel, with every variable on "All". What a panel draws is all its queries together.
    fn panels(&self) -> BTreeMap<String, Vec<String>> {
        let mut panels = BTreeMap::new();
        let variables = self.variables();
        collect(&self.content["panels"], &mut |title, query| {
            panels
                .entry(title.to_owned())
                .or_insert_with(Vec::new)
                .push(with_all(query, &variables));
        });
        panels
    }
}

/// A query with every variable on "All".
fn with_all(query: &str, variables: &[(String, String)]) -> String {
    variables.iter().fold(query.to_owned(), |query, (name, _)| {
        query.replace(&format!("${name}"), ".*")
    })
}

/// Panels stand in rows, which are panels themselves.
fn collect(panels: &Value, take: &mut impl FnMut(&str, &str)) {
    for panel in panels.as_array().into_iter().flatten() {
        collect(&panel["panels"], take);
        for target in panel["targets"].as_array().into_iter().flatten() {
            if let Some(query) = target["expr"].as_str() {
                take(panel["title"].as_str().unwrap(), query);
            }
        }
    }
}

/// `label_values(series, label)` taken apart.
fn label_values(query: &str) -> Option<(&str, &str)> {
    query
        .strip_prefix("label_values(")?
        .strip_suffix(')')?
        .rsplit_once(", ")
}

fn is_quiet(dashboard: &str, title: &str) -> bool {
    QUIET
        .iter()
        .any(|(quiet, panel, _)| *quiet == dashboard && *panel == title)
}

/// Asks again what had no answer, until nothing is left or patience ends.
fn until_none_is_left(what: &str, mut missing: Vec<String>, is_there: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        missing.retain(|one| !is_there(one));
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {missing:#?}");
        std::thread::sleep(Duration::from_secs(5));
    }
}

#[test]
#[ignore = "needs the lab with the platform up"]
fn every_metric_of_the_index_is_in_the_running_prometheus() {
    let index: Index = toml::from_str(include_str!("../../../dashboards/metrics.toml")).unwrap();
    let exporters = index.exporters.keys().cloned().collect();
    until_none_is_left("metrics are not in Prometheus", exporters, |name| {
        let exporter = &index.exporters[name];
        let there = names(&exporter.job);
        let lost: Vec<_> = exporter
            .metrics
            .iter()
            .filter(|metric| !there.contains(metric))
            .collect();
        if !lost.is_empty() {
            eprintln!("{name}: {lost:?}");
        }
        lost.is_empty()
    });
}

#[test]
#[ignore = "needs the lab with the platform up"]
fn every_panel_that_should_have_data_has_some() {
    let mut queries = BTreeMap::new();
    let mut quiet = BTreeSet::new();
    for dashboard in dashboards() {
        for (title, asked) in dashboard.panels() {
            let panel = format!("{} / {title}", dashboard.name);
            if is_quiet(&dashboard.name, &title) {
                // Without an answer to look at, but Prometheus must not refuse the question.
                for query in &asked {
                    let _answered = has_data(query);
                }
                quiet.insert((dashboard.name.clone(), title));
            } else {
                queries.insert(panel, asked);
            }
        }
    }
    assert_eq!(
        quiet.len(),
        QUIET.len(),
        "QUIET names a panel that is not there"
    );
    let panels = queries.keys().cloned().collect();
    until_none_is_left("panels without data", panels, |panel| {
        queries[panel].iter().any(|query| has_data(query))
    });
}

#[test]
#[ignore = "needs the lab with the platform up"]
fn every_variable_has_values_to_choose_from() {
    let mut queries = BTreeMap::new();
    for dashboard in dashboards() {
        let asked = dashboard.variables();
        for (name, query) in &asked {
            // One may ask for what another one leaves.
            let query = with_all(query, &asked);
            queries.insert(format!("{} / {name}", dashboard.name), query);
        }
    }
    let variables = queries.keys().cloned().collect();
    until_none_is_left("variables without values", variables, |variable| {
        let (series, label) = label_values(&queries[variable]).unwrap();
        !values(label, series).is_empty()
    });
}
