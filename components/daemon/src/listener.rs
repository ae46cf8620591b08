//! Listeners for the kubelet and Prometheus: plain HTTP, no authentication.

use std::{fmt, io, net::SocketAddr};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why a listener could not be opened: the address is taken, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}")]
pub struct ListenError {
    pub address: SocketAddr,
    pub purpose: &'static str,
    pub source: io::Error,
}

/// Opens a listener.
pub async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ListenError {
        address,
        purpose,
        source,
    })
}

/// Serves until `stop`, beside the caller.
pub fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    tokio::spawn(async move {
        let served = axum::serve(listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "a listener ended");
        }
    });
}

/// The answer of `/metrics`.
pub fn open_metrics(text: Result<String, fmt::Error>) -> Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
