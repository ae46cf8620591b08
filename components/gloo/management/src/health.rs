//! Health for the kubelet, and `/relay` for the operator's gate.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};

use crate::shared::{Shared, StoreState};

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
    let fences = match &*shared.fences.borrow() {
        None => "for all replicas".to_owned(),
        Some(why) => format!("of this replica only: {why}"),
    };
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
        "translation": {"errors": &*shared.broken.borrow()},
        "redis": redis,
        "fences": fences,
        "safeMode": state.cold(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State as Clusters;

    #[tokio::test]
    async fn a_computation_that_ended_in_the_middle_is_an_error_until_the_next_one() {
        let clusters = Clusters::new("west".parse().unwrap(), true);
        let shared = Arc::new(Shared::new(clusters, "server".to_owned()));
        let errors = async || relay(State(shared.clone())).await.0["translation"]["errors"].clone();
        assert_eq!(errors().await, Value::Null);
        shared
            .broken
            .send_replace(Some("task 3 panicked".to_owned()));
        assert_eq!(errors().await, "task 3 panicked");
        shared.broken.send_replace(None);
        assert_eq!(errors().await, Value::Null);
    }
}
