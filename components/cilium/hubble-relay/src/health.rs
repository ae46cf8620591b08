//! Whether the relay is of use: over gRPC for clients, over HTTP for the kubelet and for whoever looks.
//!
//! It is when an agent has told which nodes there are, and one of them is connected or there is none. It then keeps serving while no
//! agent tells: the nodes known so far are asked.

use axum::{
    Json, Router,
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use cilium_hubble::about;
use gloonet_daemon::exposition;
use serde_json::{Value, json};
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    metrics,
    notify::Told,
    pool::{Node, Nodes, State},
    service::Relay,
};

/// The names clients ask for.
const SERVICES: [&str; 3] = ["", "observer.Observer", about::OBSERVER];

/// Why the relay is of no use now; `None` when it is.
pub fn trouble(told: &Told, nodes: &Nodes) -> Option<String> {
    if !told.ever {
        let why = told.error.as_deref().unwrap_or("no agent has told yet");
        return Some(format!("no nodes are known: {why}"));
    }
    let connected = |node: &Node| node.channel().is_some();
    if nodes.is_empty() || nodes.values().any(connected) {
        return None;
    }
    let why = nodes.values().find_map(|node| match &node.state {
        State::Unavailable(reason) => Some(format!("{}: {reason}", node.peer.name)),
        State::Connecting | State::Connected(_) => None,
    });
    let why = why.unwrap_or_else(|| "the first attempts are under way".to_owned());
    Some(format!("none of {} nodes is connected: {why}", nodes.len()))
}

/// Keeps what is said over gRPC true, until the relay closes.
pub async fn keep(reporter: HealthReporter, relay: Relay) {
    let (mut told, mut nodes) = (relay.told.clone(), relay.nodes.clone());
    let mut said = None;
    loop {
        let well = trouble(&told.borrow_and_update(), &nodes.borrow_and_update()).is_none();
        let status = if well {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        if said != Some(well) {
            about::set(&reporter, &SERVICES, status).await;
            said = Some(well);
        }
        let changed = async {
            tokio::select! {
                changed = told.changed() => changed,
                changed = nodes.changed() => changed,
            }
        };
        if !matches!(
            relay.closing.run_until_cancelled(changed).await,
            Some(Ok(()))
        ) {
            break;
        }
    }
    about::set(&reporter, &SERVICES, ServingStatus::NotServing).await;
}

/// What the kubelet and people ask.
pub fn routes(relay: Relay) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/nodes", get(nodes))
        .with_state(relay)
}

/// What Prometheus asks.
pub fn statistics(relay: Relay) -> Router {
    exposition::routes(move || metrics::text(&relay))
}

async fn ready(Shared(relay): Shared<Relay>) -> Response {
    match trouble(&relay.told.borrow(), &relay.nodes.borrow()) {
        None => "ok".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

async fn nodes(Shared(relay): Shared<Relay>) -> Json<Value> {
    Json(describe(&relay.told, &relay.nodes))
}

fn describe(told: &watch::Receiver<Told>, nodes: &watch::Receiver<Nodes>) -> Value {
    let (told, nodes) = (told.borrow(), nodes.borrow());
    let rows: Vec<Value> = nodes
        .values()
        .map(|node| {
            let (state, reason) = match &node.state {
                State::Connecting => ("Connecting", None),
                State::Connected(_) => ("Connected", None),
                State::Unavailable(reason) => ("Unavailable", Some(&**reason)),
            };
            json!({"name": node.peer.name, "address": node.peer.address, "state": state, "reason": reason})
        })
        .collect();
    let connected = nodes.values().filter(|node| node.channel().is_some());
    let trouble = incomplete(&told, &nodes);
    json!({
        "told": told.ever,
        "known": nodes.len(),
        "connected": connected.count(),
        "complete": trouble.is_none(),
        "trouble": trouble,
        "nodes": rows,
    })
}

/// Why a stream would not have the flows of every node; `None` when it would.
pub fn incomplete(told: &Told, nodes: &Nodes) -> Option<String> {
    if let Some(error) = &told.error {
        return Some(error.to_string());
    }
    if nodes.is_empty() {
        return Some("no agent has told which nodes there are".to_owned());
    }
    let mut away = nodes.values().filter_map(|node| match &node.state {
        State::Connected(_) => None,
        State::Connecting => Some(format!("{} is being connected to", node.peer.name)),
        State::Unavailable(reason) => Some(format!("{}: {reason}", node.peer.name)),
    });
    let first = away.next()?;
    let count = 1 + away.count();
    Some(format!(
        "{count} of {} nodes not connected: {first}",
        nodes.len()
    ))
}
