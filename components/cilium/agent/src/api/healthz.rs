//! `/v1/healthz`: the agent's own opinion of itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cilium_cni::model::StatusResponse;

use crate::agent::Agent;
use crate::status::status;

pub async fn get(State(agent): State<Arc<Agent>>) -> Json<StatusResponse> {
    Json(status(&agent).await)
}
