//! Tells load balancers whether this node balances Services, where kube-proxy would: `/healthz` (and stays) and `/livez`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use gloonet_daemon::listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::moment::Moment;
use crate::services::ServiceHealth;
use crate::task::{REPAIR, RETRY};

/// Without a change Services are compared every [`REPAIR`]; one that failed may be tried again for as long.
const PATIENCE: std::time::Duration = REPAIR.saturating_mul(2);

/// Opens the port, again and again while something else holds it.
pub async fn run(agent: Arc<Agent>, address: SocketAddr) {
    loop {
        match TcpListener::bind(address).await {
            Ok(bound) => {
                agent.report("service health", None);
                listener::run(bound, router(agent.clone()), CancellationToken::new()).await;
            }
            Err(error) => {
                let sentence = format!(
                    "cannot answer load balancers at {address}: {error}; they take this node for unhealthy until the port is \
                     free (does a kube-proxy still run here?)"
                );
                agent.report("service health", Some(sentence));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn router(agent: Arc<Agent>) -> Router {
    let ready = |State(agent): State<Arc<Agent>>| async move {
        let health = look(&agent);
        tell(health, health.is_ready(PATIENCE))
    };
    let live = |State(agent): State<Arc<Agent>>| async move {
        let health = look(&agent);
        tell(health, health.is_live(PATIENCE))
    };
    Router::new()
        .route("/healthz", get(ready))
        .route("/livez", get(live))
        .with_state(agent)
}

fn look(agent: &Agent) -> ServiceHealth {
    let node = agent.watched.own_node.get("", &agent.own.name);
    ServiceHealth::of(agent.services_updated(), Moment::now(), node.as_deref())
}

/// kube-proxy's body.
fn tell(health: ServiceHealth, good: bool) -> (StatusCode, Json<Value>) {
    let body = json!({
        "lastUpdated": health.updated.map(|moment| moment.shown.to_string()),
        "currentTime": health.now.shown.to_string(),
        "nodeEligible": health.eligible,
    });
    let code = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(body))
}
