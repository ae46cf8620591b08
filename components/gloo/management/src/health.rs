//! Health for the kubelet, and `/relay` for the operator's gate.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::shared::{Shared, StoreState};

/// Why a listener could not be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}")]
pub struct ServeError {
    pub address: SocketAddr,
    pub purpose: &'static str,
    pub source: std::io::Error,
}

pub async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError {
        address,
        purpose,
        source,
    })
}

/// Serves until `closing`.
pub fn serve(listener: TcpListener, routes: Router, closing: CancellationToken) {
    tokio::spawn(async move {
        let served = axum::serve(listener, routes)
            .with_graceful_shutdown(async move { closing.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "a listener ended");
        }
    });
}

/// `/healthz`: the process serves. `/readyz`: the store was read, or is known to be away.
pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/relay", get(relay))
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if *shared.store.borrow() == StoreState::Unknown {
        return (StatusCode::SERVICE_UNAVAILABLE, "Redis was not asked yet");
    }
    (StatusCode::OK, "ok")
}

async fn relay(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let redis = match &*shared.store.borrow() {
        StoreState::Ok => json!("ok"),
        StoreState::Unknown => json!("unknown"),
        StoreState::Away(why) => json!(format!("away: {why}")),
    };
    let state = shared.state();
    let clusters: Vec<_> = state
        .clusters
        .iter()
        .filter(|(_, cluster)| cluster.registration.is_some())
        .map(|(name, cluster)| {
            json!({
                "name": name.as_str(),
                "connected": cluster.connection.is_some(),
                "warmed": cluster.connection.as_ref().is_some_and(|c| c.warmed),
                "lastSeen": cluster.heard.map(|at| at.to_string()),
                "held": cluster.held.as_ref().map(|held| held.removed),
            })
        })
        .collect();
    Json(json!({
        "clusters": clusters,
        // A resource that cannot be followed is said in its own status; it is no fault of the server.
        "translation": {"errors": null},
        "redis": redis,
        "safeMode": state.cold(),
    }))
}
