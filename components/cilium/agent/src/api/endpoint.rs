//! `/v1/endpoint`: made by ADD, removed by DEL, looked at by CHECK and people.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::error::chain;
use cilium_cni::model::{EndpointChangeRequest, EndpointHealth};
use serde::Deserialize;

use crate::admission::admit;
use crate::agent::{Agent, blocking};
use crate::api::refuse;
use crate::endpoint::{AttachmentKey, Endpoint, PodRef, state_name};
use crate::endpoints::{EndpointError, NewEndpoint};

type Shared = State<Arc<Agent>>;

pub async fn list(State(agent): Shared) -> Response {
    let models: Vec<_> = agent
        .endpoints
        .list()
        .iter()
        .map(|endpoint| agent.model_of(endpoint))
        .collect();
    Json(models).into_response()
}

pub async fn get(State(agent): Shared, Path(id): Path<String>) -> Response {
    match find(&agent, &id) {
        Some(endpoint) => Json(agent.model_of(&endpoint)).into_response(),
        None => not_found(&id),
    }
}

/// Answers when the datapath carries the endpoint and has its policies.
pub async fn put(
    State(agent): Shared,
    Path(_): Path<String>,
    Json(request): Json<EndpointChangeRequest>,
) -> Response {
    let new = match read(request) {
        Ok(new) => new,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, message),
    };
    let began = Instant::now();
    let admitted = match admit(&agent, new.pod.as_ref()).await {
        Ok(admitted) => admitted,
        Err(message) => return refuse(StatusCode::SERVICE_UNAVAILABLE, message),
    };
    let worker = agent.clone();
    let put = blocking(move || worker.endpoints.put(new, admitted, Instant::now()));
    match put.await {
        Some(Ok(endpoint)) => {
            agent.tally.regenerations.fetch_add(1, Ordering::Relaxed);
            agent.timings.endpoint_made(began.elapsed());
            tracing::info!(
                id = endpoint.id, pod = endpoint.owner(), ip = %endpoint.ip,
                identity = endpoint.identity.0, interface = endpoint.interface, "Endpoint added"
            );
            (StatusCode::CREATED, Json(agent.model_of(&endpoint))).into_response()
        }
        Some(Err(error)) => {
            agent
                .tally
                .regenerations_failed
                .fetch_add(1, Ordering::Relaxed);
            failed(&error)
        }
        None => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the agent panicked on this endpoint; see its log",
        ),
    }
}

pub async fn delete(State(agent): Shared, Path(id): Path<String>) -> Response {
    let Some(endpoint) = find(&agent, &id) else {
        return not_found(&id);
    };
    remove(agent, vec![endpoint]).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Many {
    container_id: String,
}

/// All endpoints of one container.
pub async fn delete_many(State(agent): Shared, Json(many): Json<Many>) -> Response {
    let mut endpoints = agent.endpoints.list();
    endpoints.retain(|endpoint| endpoint.attachment.container_id == many.container_id);
    if endpoints.is_empty() {
        return not_found(&many.container_id);
    }
    remove(agent, endpoints).await
}

pub async fn healthz(State(agent): Shared, Path(id): Path<String>) -> Response {
    let Some(endpoint) = find(&agent, &id) else {
        return not_found(&id);
    };
    let worker = agent.clone();
    let known = blocking(move || worker.datapath.endpoints()).await;
    let programmed = matches!(known, Some(Ok(known)) if known.contains(&endpoint.for_datapath()));
    let verdict = if programmed {
        EndpointHealth::OK
    } else {
        EndpointHealth::FAILURE
    };
    Json(EndpointHealth {
        bpf: verdict.to_owned(),
        policy: verdict.to_owned(),
        connected: programmed,
        overall_health: verdict.to_owned(),
    })
    .into_response()
}

async fn remove(agent: Arc<Agent>, endpoints: Vec<Endpoint>) -> Response {
    for endpoint in endpoints {
        let worker = agent.clone();
        let key = endpoint.attachment.clone();
        match blocking(move || worker.endpoints.delete(&key)).await {
            Some(Ok(_)) => {
                tracing::info!(id = endpoint.id, pod = endpoint.owner(), ip = %endpoint.ip, "Endpoint removed");
            }
            Some(Err(error)) => return failed(&error),
            None => {
                return refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the agent panicked on this endpoint; see its log",
                );
            }
        }
    }
    StatusCode::OK.into_response()
}

/// The id forms of Cilium: a number, `cilium-local:N`, `cni-attachment-id:CONTAINER:IFNAME`, `container-id:CONTAINER`,
/// `cep-name:NAMESPACE/POD` and its older form `pod-name:NAMESPACE:POD`.
fn find(agent: &Agent, id: &str) -> Option<Endpoint> {
    if let Some(rest) = id.strip_prefix("cni-attachment-id:") {
        let (container_id, ifname) = rest.rsplit_once(':')?;
        return agent.endpoints.find(&AttachmentKey {
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        });
    }
    if let Some(container) = id.strip_prefix("container-id:") {
        let all = agent.endpoints.list();
        return all
            .into_iter()
            .find(|endpoint| endpoint.attachment.container_id == container);
    }
    let pod = id
        .strip_prefix("cep-name:")
        .or_else(|| id.strip_prefix("pod-name:"));
    if let Some((namespace, name)) = pod.and_then(|pod| pod.split_once(['/', ':'])) {
        return agent.endpoints.list().into_iter().find(|endpoint| {
            endpoint
                .pod
                .as_ref()
                .is_some_and(|pod| pod.namespace == namespace && pod.name == name)
        });
    }
    let number = id.strip_prefix("cilium-local:").unwrap_or(id);
    agent.endpoints.get(number.parse().ok()?)
}

fn read(request: EndpointChangeRequest) -> Result<NewEndpoint, String> {
    let mac = |text: &str| {
        text.parse()
            .map_err(|error: datapath::ParseMacError| error.to_string())
    };
    if request.container_id.is_empty() || request.container_interface_name.is_empty() {
        return Err("container-id and container-interface-name must be set".to_owned());
    }
    let pod = (!request.k8s_pod_name.is_empty()).then_some(PodRef {
        namespace: request.k8s_namespace,
        name: request.k8s_pod_name,
        uid: request.k8s_uid,
    });
    Ok(NewEndpoint {
        attachment: AttachmentKey {
            container_id: request.container_id,
            ifname: request.container_interface_name,
        },
        pod,
        ip: request
            .addressing
            .ipv4
            .ok_or("addressing.ipv4 must be set")?,
        lease: request.addressing.ipv4_expiration_uuid,
        mac: mac(&request.mac)?,
        host_mac: mac(&request.host_mac)?,
        ifindex: request.interface_index,
        interface: request.interface_name,
    })
}

fn not_found(id: &str) -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        format!("there is no endpoint {id} on this node"),
    )
}

fn failed(error: &EndpointError) -> Response {
    let message = chain(error);
    let status = match error {
        EndpointError::Exists(_) | EndpointError::Address(_) | EndpointError::Deleted(_) => {
            StatusCode::CONFLICT
        }
        EndpointError::NoNumber | EndpointError::Datapath { .. } | EndpointError::Store { .. } => {
            tracing::error!("{message}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    refuse(status, message)
}

/// How many endpoints are in each state, for metrics.
pub(crate) fn by_state(endpoints: &[Endpoint]) -> Vec<(&'static str, usize)> {
    crate::endpoint::STATES
        .iter()
        .map(|state| {
            let count = endpoints
                .iter()
                .filter(|endpoint| endpoint.state == *state)
                .count();
            (state_name(*state), count)
        })
        .collect()
}
