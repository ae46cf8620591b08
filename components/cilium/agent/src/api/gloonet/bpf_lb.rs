//! `/v1/gloonet/bpf/lb`: the Services the kernel balances.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::bpf::{LbBackend, LbService};
use datapath::{Frontend, Scope, WhenEmpty};

use crate::agent::{Agent, blocking};
use crate::api::{map_unreadable, service};

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let mut services = match blocking(move || agent.datapath.numbered_services()).await {
        Some(Ok(services)) => services,
        other => return map_unreadable(other),
    };
    services.sort_by_key(|(_, service)| service.frontend);
    let frontends = services.iter().map(|(_, service)| service.frontend);
    let frontends: BTreeSet<Frontend> = frontends.collect();
    let entries: Vec<LbService> = services
        .iter()
        .map(|(generation, service)| describe(*generation, service, &frontends))
        .collect();
    Json(entries).into_response()
}

fn describe(generation: u32, service: &datapath::Service, all: &BTreeSet<Frontend>) -> LbService {
    let backends = service.backends.iter().map(|backend| LbBackend {
        ip: backend.ip,
        port: backend.port,
    });
    LbService {
        frontend: service::address(service.frontend, all),
        generation,
        backends: backends.collect(),
        affinity_seconds: service.affinity_seconds,
        inside_only: service.frontend.scope == Scope::Inside,
        source_ranges: service.source_ranges.clone(),
        exclusive: service.exclusive,
        silent: service.when_empty == WhenEmpty::Drop,
    }
}
