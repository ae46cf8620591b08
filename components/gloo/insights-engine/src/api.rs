//! Insights for the command line and the UI, as JSON, on loopback.
//!
//! Who may read: whoever may forward a port to this pod (`pods/portforward` in gloo-mesh). Nothing can be written.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::shared::Shared;

/// `GET /v1/insights`: the last run, whole. Sorting out is the reader's.
pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/insights", get(insights))
        .with_state(shared)
}

async fn insights(State(shared): State<Arc<Shared>>) -> Response {
    if let Some((page, _)) = shared.page() {
        return Json(&*page).into_response();
    }
    let why = shared.why().unwrap_or_default();
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
