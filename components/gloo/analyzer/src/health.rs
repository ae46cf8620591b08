//! `/healthz` for the kubelet, `/runs` for the operator's gate, `/metrics` for Prometheus.

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use gloo_record::Analyzer;
use gloonet_daemon::exposition;
use serde_json::{Value, json};

use crate::{metrics::Metrics, schedule::Runs};

/// Runs an analyzer may miss.
const MISSED: u32 = 3;

pub fn routes(runs: Arc<Runs>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/runs", get(async move || Json(page(&runs))))
}

pub fn metrics(metrics: Arc<Metrics>) -> Router {
    exposition::routes(move || metrics.text())
}

/// `fresh`: every analyzer ran lately and its report left. A failed run is fresh too: it is told to whom it concerns.
fn page(runs: &Runs) -> Value {
    let all = runs.all();
    let mut trouble = Vec::new();
    for analyzer in Analyzer::ALL {
        match all.get(&analyzer) {
            None => trouble.push(format!("{analyzer} has not run yet")),
            Some(last) if last.ended.elapsed() > last.interval * MISSED => {
                let age = last.ended.elapsed().as_secs();
                trouble.push(format!("{analyzer} last ran {age} s ago"));
            }
            Some(last) => {
                if let Some(why) = &last.unsent {
                    trouble.push(format!("the report of {analyzer} did not leave: {why}"));
                }
            }
        }
    }
    let failed: serde_json::Map<String, Value> = all
        .iter()
        .filter_map(|(analyzer, last)| Some((analyzer.to_string(), json!(last.failed.as_ref()?))))
        .collect();
    json!({
        "fresh": trouble.is_empty(),
        "trouble": trouble.first(),
        "failed": failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_every_analyzer_has_run_the_page_says_which_has_not() {
        let page = page(&Runs::default());
        assert_eq!(page["fresh"], false);
        assert_eq!(page["trouble"], "cilium-agents has not run yet");
    }
}
