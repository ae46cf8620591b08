//! `/v1/gloonet/bpf/ipcache`: the addresses the kernel knows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::bpf::IpcacheEntry;

use crate::agent::{Agent, blocking};
use crate::api::map_unreadable;

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let mut ips = match blocking(move || agent.datapath.ips()).await {
        Some(Ok(ips)) => ips,
        other => return map_unreadable(other),
    };
    ips.sort_by_key(|(prefix, _)| *prefix);
    let entries: Vec<IpcacheEntry> = ips
        .into_iter()
        .map(|(prefix, entry)| IpcacheEntry {
            prefix,
            identity: entry.identity,
            tunnel_endpoint: entry.tunnel,
        })
        .collect();
    Json(entries).into_response()
}
