//! The two listeners: metrics, and `/healthz` for the kubelet.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Why a listener could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for {purpose}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// The system's reason.
        #[source]
        cause: std::io::Error,
    },
}

/// Binds both listeners and serves them until `stop`.
///
/// `/healthz` says that the process serves, not that the API server answers: killing an operator because the API server
/// is away would help nobody.
pub async fn start(
    metrics_address: SocketAddr,
    health_address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let exposition = Router::new()
        .route("/metrics", get(exposition))
        .with_state(metrics);
    let health = Router::new().route("/healthz", get(async || "ok"));
    spawn(
        bind(metrics_address, "metrics").await?,
        exposition,
        stop.clone(),
    );
    spawn(bind(health_address, "health").await?, health, stop);
    Ok(())
}

async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ServeError::Bind {
            address,
            purpose,
            cause,
        })
}

fn spawn(listener: TcpListener, routes: Router, stop: CancellationToken) {
    tokio::spawn(async move {
        let served = axum::serve(listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "a listener ended");
        }
    });
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
