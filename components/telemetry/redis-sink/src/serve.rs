//! Metrics, and health for the kubelet.

use std::sync::Arc;

use axum::{Router, routing::get};
use gloonet_daemon::exposition;

use crate::metrics::Metrics;

/// `/metrics`, and `/healthz`, which says that the process serves. Whether Redis does is in the metrics: restarting the sink
/// would not bring it back.
pub fn routes(metrics: Arc<Metrics>) -> Router {
    exposition::routes(move || metrics.text()).route("/healthz", get(async || "ok"))
}
