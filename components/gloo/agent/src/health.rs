//! The two listeners: health with the state of the relay, and metrics.

use std::{net::SocketAddr, sync::Arc, time::UNIX_EPOCH};

use axum::{
    Json, Router, extract::State as Shared, http::StatusCode, response::IntoResponse, routing::get,
};
use gloo_relay::client::{State, Status};
use gloonet_daemon::{
    exposition,
    listener::{self, ListenError},
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{metrics, observed::Observed, reconcile::Report};

/// What the listeners show.
#[derive(Clone, Debug)]
pub struct View {
    pub server: String,
    pub status: watch::Receiver<Status>,
    pub report: watch::Receiver<Report>,
    pub trouble: watch::Receiver<Option<String>>,
    pub observed: Arc<Observed>,
}

/// Binds both and serves them until `closing`.
pub async fn start(
    health: SocketAddr,
    stats: SocketAddr,
    view: View,
    closing: &CancellationToken,
) -> Result<(), ListenError> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/relay", get(relay))
        .with_state(view.clone());
    let bound = listener::bind(health, "health").await?;
    listener::serve(bound, routes, closing.clone());
    let routes = exposition::routes(move || metrics::text(&view));
    let bound = listener::bind(stats, "metrics").await?;
    listener::serve(bound, routes, closing.clone());
    Ok(())
}

/// Ready with the first observation: an agent whose server is away serves its cluster as well as it can.
async fn ready(Shared(view): Shared<View>) -> impl IntoResponse {
    let unlisted = view.observed.unlisted();
    if unlisted.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        let kinds = unlisted.join(", ");
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not listed yet: {kinds}"),
        )
    }
}

async fn relay(Shared(view): Shared<View>) -> Json<Value> {
    Json(describe(&view))
}

/// What the operator's gate reads.
fn describe(view: &View) -> Value {
    let status = view.status.borrow().clone();
    let since = status.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = i64::try_from(since.as_secs()).unwrap_or_default();
    let since = jiff::Timestamp::from_second(since).unwrap_or_default();
    let report = view.report.borrow().clone();
    let held = report
        .held
        .map(|(removals, digest)| json!({"removals": removals, "digest": digest}));
    json!({
        "state": status.state.as_str(),
        "connected": status.state == State::Connected,
        "warmed": status.warmed,
        "since": since.to_string(),
        "server": view.server,
        "last_error": status.last_error.or_else(|| view.trouble.borrow().clone()),
        "held": held,
        "killSwitch": report.kill_switch,
        "desired": report.desired,
        "errors": report.errors,
        "unlisted": view.observed.unlisted(),
    })
}
