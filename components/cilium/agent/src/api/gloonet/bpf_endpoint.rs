//! `/v1/gloonet/bpf/endpoint`: the pods the kernel knows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::bpf::LocalEndpoint;

use crate::agent::{Agent, blocking};
use crate::api::map_unreadable;

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let mut endpoints = match blocking(move || agent.datapath.endpoints()).await {
        Some(Ok(endpoints)) => endpoints,
        other => return map_unreadable(other),
    };
    endpoints.sort_by_key(|endpoint| endpoint.ip);
    let entries: Vec<LocalEndpoint> = endpoints.iter().map(describe).collect();
    Json(entries).into_response()
}

fn describe(endpoint: &datapath::Endpoint) -> LocalEndpoint {
    LocalEndpoint {
        ip: endpoint.ip,
        id: endpoint.id,
        identity: endpoint.identity,
        ifindex: endpoint.ifindex,
        mac: endpoint.mac.to_string(),
        node_mac: endpoint.host_mac.to_string(),
    }
}
