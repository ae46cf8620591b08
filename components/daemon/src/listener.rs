//! Listeners for the kubelet and Prometheus: plain HTTP, no authentication.

use std::{io, net::SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
