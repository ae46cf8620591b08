//! The two listeners: metrics, and `/healthz` for the kubelet.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use gloonet_daemon::{
    exposition,
    listener::{self, ListenError},
};
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
    let exposition = exposition::routes(move || metrics.text());
    let health = Router::new().route("/healthz", get(async || "ok"));
    let bound = listener::bind(metrics_address, "metrics").await?;
    listener::serve(bound, exposition, stop.clone());
    let bound = listener::bind(health_address, "health").await?;
    listener::serve(bound, health, stop);
    Ok(())
}
