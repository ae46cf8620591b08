//! Every metric of `dashboards/metrics.toml`, asked for in the Prometheus of a running platform.
//!
//! Needs the lab with the platform up: `cargo test -p gloonet-catalog --test live_metrics -- --ignored`, with `KUBECONFIG` set or the
//! default lab running.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: a failure shall end it with its reason"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

const DEFAULT_LAB: &str = "/var/lib/gloonet-lab/default/admin.kubeconfig";
/// A scrape and a relayed scrape after the last component came up.
const PATIENCE: Duration = Duration::from_mins(1);

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
    let query = format!("match[]=%7Bjob%3D%22{job}%22%7D");
    let path = "/api/v1/namespaces/gloo-mesh/services/prometheus-server:http/proxy/api/v1/label/__name__/values";
    let answer = get(&format!("{path}?{query}"));
    answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs the lab with the platform up"]
fn every_metric_of_the_index_is_in_the_running_prometheus() {
    let index: Index = toml::from_str(include_str!("../../../dashboards/metrics.toml")).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut missing = Vec::new();
        for (name, exporter) in &index.exporters {
            let there = names(&exporter.job);
            let lost = exporter
                .metrics
                .iter()
                .filter(|metric| !there.contains(metric));
            missing.extend(lost.map(|metric| format!("{name}: {metric}")));
        }
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "not in Prometheus: {missing:#?}");
        std::thread::sleep(Duration::from_secs(5));
    }
}
