//! Metrics, and health for the kubelet.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use gloonet_daemon::listener;

use crate::metrics::Metrics;

/// `/metrics`, and `/healthz`, which says that the process serves. Whether Redis does is in the metrics: restarting the sink
/// would not bring it back.
pub fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(exposition))
        .route("/healthz", get(async || "ok"))
        .with_state(metrics)
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> Response {
    listener::open_metrics(metrics.text())
}
