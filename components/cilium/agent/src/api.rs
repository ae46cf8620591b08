//! The REST API on the unix socket: Cilium's paths, as far as they are used. Only root may open the socket.

pub mod cluster_nodes;
pub mod config;
pub mod debuginfo;
pub mod endpoint;
pub mod gloonet;
pub mod healthz;
pub mod identity;
pub mod ip;
pub mod ipam;
pub mod metrics;
pub mod policy;
pub mod service;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use cilium_cni::model::{BASE, Problem};
use tokio::net::UnixListener;

use crate::agent::Agent;
use crate::metrics::Metrics;

/// A request is a few hundred bytes.
const BODY_MAX: usize = 1 << 20;

/// Listens for root only. A socket left by an earlier process is replaced.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made beside and renamed, so that it never exists with another mode than its own.
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&beside, path)?;
    Ok(listener)
}

pub fn router(agent: Arc<Agent>, metrics: Arc<Metrics>) -> Router {
    let v1 = Router::new()
        .route("/config", get(config::get))
        .route("/healthz", get(healthz::get))
        .route("/ipam", post(ipam::post))
        .route("/ipam/{ip}", delete(ipam::delete))
        .route(
            "/endpoint",
            get(endpoint::list).delete(endpoint::delete_many),
        )
        .route(
            "/endpoint/{id}",
            get(endpoint::get)
                .put(endpoint::put)
                .delete(endpoint::delete),
        )
        .route("/endpoint/{id}/healthz", get(endpoint::healthz))
        .route("/debuginfo", get(debuginfo::get))
        .route("/policy", get(policy::get))
        .route("/policy/selectors", get(policy::selectors))
        .route("/identity", get(identity::list))
        .route("/identity/{id}", get(identity::get))
        .route("/ip", get(ip::list))
        .route("/service", get(service::list))
        .route("/service/{id}", get(service::get))
        .route("/cluster/nodes", get(cluster_nodes::list))
        .nest("/gloonet", gloonet::router())
        .with_state(agent)
        .route("/metrics", get(metrics::list).with_state(metrics.clone()));
    Router::new()
        .nest(BASE, v1)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let metrics = metrics.clone();
            async move {
                let started = Instant::now();
                let method = request.method().clone();
                let path = first_segments(request.uri().path());
                let response = next.run(request).await;
                metrics.observe_api(
                    method.as_str(),
                    &path,
                    response.status().as_u16(),
                    started.elapsed(),
                );
                response
            }
        }))
}

/// The path without ids, so that every pod is not a metric of its own.
fn first_segments(path: &str) -> String {
    path.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// What is answered when a map of the kernel was not read.
pub(crate) fn map_unreadable<T>(read: Option<Result<T, datapath::Error>>) -> Response {
    let message = match read {
        Some(Err(error)) => cilium_cni::error::chain(&error),
        _ => "the agent panicked on this map; see its log".to_owned(),
    };
    refuse(StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// A refusal with its reason, as the CNI plugin shows it.
pub(crate) fn refuse(status: StatusCode, message: impl Into<String>) -> Response {
    let message = message.into();
    (status, Json(Problem { message })).into_response()
}
