//! `/v1/gloonet/health`: which nodes are reached. Upstream serves it on `health.sock`, below `/v1beta/status`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::agent::Agent;
use crate::api::refuse;
use crate::task::cluster_health::ask_all;

/// What the last probes found.
pub(super) async fn get(State(agent): State<Arc<Agent>>) -> Response {
    match agent.cluster_health.get() {
        Some(health) => Json(health.report()).into_response(),
        None => off(),
    }
}

/// Probes every node and answers when all of that is through.
pub(super) async fn probe(State(agent): State<Arc<Agent>>) -> Response {
    let Some(health) = agent.cluster_health.get() else {
        return off();
    };
    ask_all(&agent, health).await;
    Json(health.report()).into_response()
}

fn off() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "nodes are not probed: enable-health-checking is false in ConfigMap cilium-config, or the agent is only starting",
    )
}
