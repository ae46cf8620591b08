//! `/v1/policy`: every policy in force on this node, and how far the datapath has come with them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::policy::Policy;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};

use crate::agent::{Agent, blocking};
use crate::api::refuse;

pub async fn get(State(agent): State<Arc<Agent>>) -> Response {
    // The revision is behind a lock that a pass over all policies may hold for a while.
    match blocking(move || read(&agent)).await {
        Some(policy) => Json(policy).into_response(),
        None => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the agent panicked on its policies; see its log",
        ),
    }
}

fn read(agent: &Agent) -> Policy {
    // Before the policies: what is listed may be newer than the revision, never older.
    let revision = agent.policies.revision();
    let objects = agent.watched.network_policies.list();
    let policies: Vec<Value> = objects
        .iter()
        .map(|policy: &Arc<NetworkPolicy>| describe(&**policy, &policy.spec))
        .collect();
    Policy {
        policy: serde_json::to_string_pretty(&policies).unwrap_or_default(),
        revision,
    }
}

fn describe<K: Resource<DynamicType = ()>>(object: &K, spec: &impl Serialize) -> Value {
    let metadata = object.meta();
    json!({
        "kind": K::kind(&()),
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "spec": spec,
    })
}
