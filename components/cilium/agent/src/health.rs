//! `/healthz`, `/datapath` and `/node` on the health port, for the kubelet, the operator and the analyzer. No input but the path.

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::agent::Agent;
use crate::facts::{self, Place};
use crate::status::{Coverage, coverage, status};

/// How far the agent has come.
#[derive(Clone, Debug)]
pub enum Phase {
    /// What is being waited for, as a sentence.
    Starting(String),
    Serving(Arc<Agent>),
}

/// Shared between the start-up and the port, which answers from the first moment.
#[derive(Clone, Debug)]
pub struct Progress(Arc<RwLock<Phase>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Phase::Starting(
            "starting".to_owned(),
        ))))
    }
}

impl Progress {
    pub fn waiting(&self, what: &str) {
        let before = self.phase();
        if !matches!(before, Phase::Starting(ref known) if known == what) {
            tracing::info!("{what}");
        }
        self.set(Phase::Starting(what.to_owned()));
    }

    pub fn serving(&self, agent: Arc<Agent>) {
        self.set(Phase::Serving(agent));
    }

    pub fn phase(&self) -> Phase {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, phase: Phase) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

pub fn router(progress: Progress, place: Place) -> Router {
    let facts = {
        let progress = progress.clone();
        move || node(place.clone(), progress.phase())
    };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/datapath", get(datapath))
        .route("/node", get(facts))
        .with_state(progress)
}

/// 200 when socket, datapath and every watch were up once; an API server that is away later changes nothing.
///
/// With the header `brief`, which Cilium's liveness probes send: is there a reason to end the process? One that waits for
/// its podCIDRs, or for an API server that was away when it started, would wait no shorter after a restart, and later: the kubelet
/// pauses longer with each.
async fn healthz(State(progress): State<Progress>, headers: HeaderMap) -> Response {
    let liveness = headers.contains_key("brief");
    match progress.phase() {
        Phase::Starting(what) => {
            let body = json!({"cilium": {"state": "Failure", "msg": what}});
            (code(liveness), Json(body)).into_response()
        }
        Phase::Serving(agent) => {
            let status = status(&agent).await;
            let judged = if liveness {
                &status.cni
            } else {
                &status.cilium
            };
            let code = code(!judged.is_failure());
            let body = json!({"cilium": status.cilium, "kubernetes": status.kubernetes, "policy": status.policy});
            (code, Json(body)).into_response()
        }
    }
}

async fn node(place: Place, phase: Phase) -> Response {
    match facts::look(place, phase).await {
        Some(facts) => Json(facts).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn datapath(State(progress): State<Progress>) -> Response {
    let coverage = match progress.phase() {
        Phase::Starting(what) => Coverage::not_yet(&what),
        Phase::Serving(agent) => coverage(&agent).await,
    };
    (code(coverage.ready), Json(coverage)).into_response()
}

fn code(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
