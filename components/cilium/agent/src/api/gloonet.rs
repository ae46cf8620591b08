//! `/v1/gloonet/…`: what Cilium's tool reads from the kernel by itself, and ours asks the agent for.

pub mod bpf_ct;
pub mod bpf_endpoint;
pub mod bpf_ipcache;
pub mod bpf_lb;
pub mod bpf_policy;
pub mod health;
pub mod monitor;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use futures::Stream;
use serde::Serialize;

use crate::agent::Agent;

pub(super) fn router() -> Router<Arc<Agent>> {
    Router::new()
        .route("/bpf/policy", get(bpf_policy::list))
        .route("/bpf/policy/{endpoint}", get(bpf_policy::get))
        .route("/bpf/ct", get(bpf_ct::list).delete(bpf_ct::flush))
        .route("/bpf/ipcache", get(bpf_ipcache::list))
        .route("/bpf/lb", get(bpf_lb::list))
        .route("/bpf/endpoint", get(bpf_endpoint::list))
        .route("/health", get(health::get))
        .route("/health/probe", put(health::probe))
        .route("/monitor", get(monitor::follow))
}

/// An answer of a JSON object a line. It is made as fast as it is read.
fn lines(stream: impl Stream<Item = Vec<u8>> + Send + 'static) -> Response {
    use futures::StreamExt as _;
    let body = Body::from_stream(stream.map(|lines| Ok::<_, Infallible>(Bytes::from(lines))));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn push_line(lines: &mut Vec<u8>, value: &impl Serialize) {
    let before = lines.len();
    match serde_json::to_writer(&mut *lines, value) {
        Ok(()) => lines.push(b'\n'),
        Err(error) => {
            lines.truncate(before);
            tracing::error!(%error, "A line of an answer could not be written and is left out");
        }
    }
}
