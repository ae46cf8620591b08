//! `/healthz` for the kubelet, `/run` for the operator's gate.

use std::{sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use gloonet_daemon::exposition;
use serde_json::{Value, json};

use crate::{
    metrics::{self, Metrics},
    shared::Shared,
};

/// Runs that may be missed.
const MISSED: u32 = 4;

pub fn routes(shared: Arc<Shared>, interval: Duration) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/run", get(async move || Json(page(&shared, interval))))
}

pub fn metrics(shared: Arc<Shared>, metrics: Arc<Metrics>) -> Router {
    exposition::routes(move || metrics::text(&metrics, &shared))
}

/// `fresh`: a run ended lately. What it lacked is said, and is no fault of the engine.
fn page(shared: &Shared, interval: Duration) -> Value {
    let Some((page, at)) = shared.page() else {
        return json!({"fresh": false, "trouble": shared.why()});
    };
    let age = at.elapsed();
    let old = age > interval * MISSED;
    let trouble = shared
        .why()
        .or_else(|| old.then(|| format!("the last run ended {} s ago", age.as_secs())));
    json!({
        "fresh": trouble.is_none(),
        "trouble": trouble,
        "clusters": page.clusters,
        "insights": page.insights.iter().filter(|insight| insight.state.stands()).count(),
        "unknown": page.unknown.len(),
        "errors": page.errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_a_run_has_ended_the_engine_is_not_fresh_and_says_why() {
        let page = page(&Shared::default(), Duration::from_secs(15));
        assert_eq!(page["fresh"], false);
        assert_eq!(page["trouble"], "no run has ended yet");
    }
}
