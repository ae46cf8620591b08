//! The two listeners: metrics, and `/healthz` for the kubelet.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, response::Response, routing::get};
use gloonet_daemon::listener::{self, ListenError};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Binds both listeners and serves them until `stop`.
///
/// `/healthz` says that the process serves, not that the API server answers: killing an operator because the API server
/// is away would help nobody.
pub async fn start(
    metrics_address: SocketAddr,
    health_address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let exposition = Router::new()
        .route("/metrics", get(exposition))
        .with_state(metrics);
    let health = Router::new().route("/healthz", get(async || "ok"));
    let bound = listener::bind(metrics_address, "metrics").await?;
    listener::serve(bound, exposition, stop.clone());
    let bound = listener::bind(health_address, "health").await?;
    listener::serve(bound, health, stop);
    Ok(())
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> Response {
    listener::open_metrics(metrics.text())
}
