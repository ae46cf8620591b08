//! Grafana's paths.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use serde_json::{Value, json};

use crate::Settings;
use crate::content::Content;

/// In every answer, so that nobody takes it for the real one.
const LABEL: (&str, &str) = ("x-stand-in", "grafana-stand-in: not Grafana");

struct Shared {
    settings: Settings,
    content: Content,
}

/// The router of the whole server.
pub fn router(settings: Settings, content: Content) -> Router {
    let shared = Arc::new(Shared { settings, content });
    Router::new()
        .route("/api/datasources", get(datasources))
        .route("/api/datasources/uid/{uid}", get(datasource))
        .route("/api/search", get(search))
        .route("/api/dashboards/uid/{uid}", get(dashboard))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            authenticate,
        ))
        .route("/api/health", get(health))
        .layer(middleware::map_response(label))
        .with_state(shared)
}

/// Ends when the kubelet asks the process to stop.
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => drop(terminate.recv().await),
        Err(_) => std::future::pending().await,
    }
}

async fn label(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(LABEL.0, HeaderValue::from_static(LABEL.1));
    response
}

async fn authenticate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if authorized(request.headers(), &shared.settings) {
        return next.run(request).await;
    }
    let body = json!({"message": "Invalid username or password", "messageId": "password-auth.failed", "statusCode": 401});
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn authorized(headers: &HeaderMap, settings: &Settings) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let decoded = given
        .strip_prefix("Basic ")
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    decoded
        .is_some_and(|bytes| bytes == format!("{}:{}", settings.user, settings.password).as_bytes())
}

async fn health() -> Json<Value> {
    Json(
        json!({"database": "ok", "version": concat!(env!("CARGO_PKG_VERSION"), "-stand-in"), "commit": "stand-in"}),
    )
}

async fn datasources(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(
        shared
            .content
            .datasources
            .iter()
            .enumerate()
            .map(|(index, source)| source.to_json(index + 1))
            .collect(),
    )
}

async fn datasource(State(shared): State<Arc<Shared>>, Path(uid): Path<String>) -> Response {
    let found = shared
        .content
        .datasources
        .iter()
        .position(|source| source.uid == uid);
    match found.and_then(|index| Some((index, shared.content.datasources.get(index)?))) {
        Some((index, source)) => Json(source.to_json(index + 1)).into_response(),
        None => not_found("Data source not found"),
    }
}

async fn search(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let wanted = query
        .get("query")
        .map(|text| text.to_lowercase())
        .unwrap_or_default();
    let kind = query.get("type").map_or("dash-db", String::as_str);
    let hits = shared
        .content
        .dashboards
        .iter()
        .filter(|board| kind == "dash-db" && board.title.to_lowercase().contains(&wanted));
    Json(hits
        .map(|board| {
            json!({
                "uid": board.uid, "title": board.title, "type": "dash-db", "folderTitle": board.folder,
                "url": format!("/d/{}", board.uid), "tags": board.json["tags"],
            })
        })
        .collect())
}

async fn dashboard(State(shared): State<Arc<Shared>>, Path(uid): Path<String>) -> Response {
    match shared
        .content
        .dashboards
        .iter()
        .find(|board| board.uid == uid)
    {
        Some(board) => {
            let meta = json!({"type": "db", "provisioned": true, "canSave": false, "folderTitle": board.folder, "url": format!("/d/{uid}")});
            Json(json!({"meta": meta, "dashboard": board.json})).into_response()
        }
        None => not_found("Dashboard not found"),
    }
}

fn not_found(message: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"message": message}))).into_response()
}

#[cfg(test)]
mod tests;
