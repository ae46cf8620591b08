//! `/v1/policy`: every policy in force, how far the datapath has come with them, and by what they choose whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::policy::{Label, Policy, SelectorMapping};
use cilium_policy::{Choice, PolicyId};
use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};

use crate::agent::{Agent, blocking};
use crate::api::refuse;

pub async fn get(State(agent): State<Arc<Agent>>) -> Response {
    // The revision is behind a lock that a pass over all policies may hold for a while.
    answer(blocking(move || read(&agent)).await)
}

pub async fn selectors(State(agent): State<Arc<Agent>>) -> Response {
    let choices = blocking(move || agent.policies.with(cilium_policy::Repository::choices));
    let choices = choices.await;
    answer(choices.map(|choices| choices.into_iter().map(describe_choice).collect::<Vec<_>>()))
}

fn answer(read: Option<impl Serialize>) -> Response {
    match read {
        Some(value) => Json(value).into_response(),
        None => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the agent panicked on its policies; see its log",
        ),
    }
}

fn describe_choice(choice: Choice) -> SelectorMapping {
    SelectorMapping {
        selector: choice.selector,
        identities: choice.identities,
        users: choice.users as u64,
        labels: choice.policies.iter().map(labels).collect(),
    }
}

/// The labels Cilium names a policy by.
fn labels(policy: &PolicyId) -> Vec<Label> {
    [
        ("derived-from", policy.kind.to_string()),
        ("name", policy.name.clone()),
        ("namespace", policy.namespace.clone()),
    ]
    .into_iter()
    .map(|(key, value)| Label {
        key: format!("io.cilium.k8s.policy.{key}"),
        source: "k8s".to_owned(),
        value,
    })
    .collect()
}

fn read(agent: &Agent) -> Policy {
    // Before the policies: what is listed may be newer than the revision, never older.
    let revision = agent.policies.revision();
    let watched = &agent.watched;
    let network = watched.network_policies.list();
    let namespaced = watched.policies.list();
    let clusterwide = watched.clusterwide_policies.list();
    let policies: Vec<Value> = network
        .iter()
        .map(|policy| describe(&**policy, &policy.spec, None))
        .chain(
            namespaced
                .iter()
                .map(|policy| describe(&**policy, &policy.spec, policy.specs.as_ref())),
        )
        .chain(
            clusterwide
                .iter()
                .map(|policy| describe(&**policy, &policy.spec, policy.specs.as_ref())),
        )
        .collect();
    Policy {
        policy: serde_json::to_string_pretty(&policies).unwrap_or_default(),
        revision,
    }
}

fn describe<K: Resource<DynamicType = ()>>(
    object: &K,
    spec: &impl Serialize,
    specs: Option<&Value>,
) -> Value {
    let metadata = object.meta();
    let mut described = json!({
        "kind": K::kind(&()),
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "spec": spec,
    });
    if let Some(specs) = specs {
        described["specs"] = specs.clone();
    }
    described
}
