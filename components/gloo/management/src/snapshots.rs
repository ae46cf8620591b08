//! `/metrics`, and what came in and goes out as JSON.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use gloo_relay::table::Objects;
use gloonet_daemon::exposition;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    authorize::{self, Denied},
    metrics,
    shared::Shared,
};

#[derive(Clone, Debug)]
struct Served {
    shared: Arc<Shared>,
    client: ClientBox,
}

/// A client has no Debug.
#[derive(Clone)]
struct ClientBox(Client);

impl std::fmt::Debug for ClientBox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Client")
    }
}

pub fn routes(shared: Arc<Shared>, client: Client) -> Router {
    let measured = Arc::clone(&shared);
    let client = ClientBox(client);
    Router::new()
        .route("/snapshots/input", get(input))
        .route("/snapshots/output", get(output))
        .with_state(Served { shared, client })
        .merge(exposition::routes(move || metrics::text(&measured)))
}

async fn input(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Err(denied) = allowed(&served, &headers, "/snapshots/input").await {
        return denied;
    }
    let all: BTreeMap<_, _> = {
        let state = served.shared.state();
        let clusters = state.clusters.iter();
        clusters
            .map(|(name, cluster)| (name.to_string(), cluster.objects.clone()))
            .collect()
    };
    Json(document(all)).into_response()
}

async fn output(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Err(denied) = allowed(&served, &headers, "/snapshots/output").await {
        return denied;
    }
    let all: BTreeMap<_, _> = {
        let state = served.shared.state();
        let clusters = state.clusters.iter();
        clusters
            .map(|(name, cluster)| (name.to_string(), cluster.wanted.clone()))
            .collect()
    };
    Json(document(all)).into_response()
}

/// `{cluster: {"apiVersion,kind=Kind": [object]}}`, as Gloo's own scripts group objects.
fn document(all: BTreeMap<String, Objects>) -> Value {
    let mut document = json!({});
    for (cluster, objects) in all {
        let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, bytes) in objects {
            let kind = format!("{},kind={}", key.api_version(), key.kind());
            let unread = || json!({"unreadable": key.to_string()});
            let object = serde_json::from_slice(&bytes).unwrap_or_else(|_| unread());
            kinds.entry(kind).or_default().push(object);
        }
        document[cluster] = json!(kinds);
    }
    document
}

async fn allowed(served: &Served, headers: &HeaderMap, path: &str) -> Result<(), Response> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    authorize::check(&served.client.0, token, path)
        .await
        .map_err(|denied| {
            let code = match &denied {
                Denied::Nobody => StatusCode::UNAUTHORIZED,
                Denied::Forbidden { .. } => StatusCode::FORBIDDEN,
                Denied::Api { source } => {
                    tracing::warn!(%source, "nobody can be told from anybody");
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (code, denied.to_string()).into_response()
        })
}
