//! `/v1/ipam`: address leases for ADD.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::{AddressPair, IpamResponse};
use serde::Deserialize;

use crate::agent::Agent;
use crate::api::{config, refuse};

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// `namespace/pod`, for people.
    #[serde(default)]
    owner: String,
    #[serde(default)]
    family: String,
}

pub async fn post(State(agent): State<Arc<Agent>>, Query(wanted): Query<Wanted>) -> Response {
    if !matches!(wanted.family.as_str(), "" | "ipv4") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "only IPv4 addresses are handed out by this release",
        );
    }
    match agent.endpoints.lease(&wanted.owner, Instant::now()) {
        Ok((address, token)) => {
            let answer = IpamResponse {
                address: AddressPair {
                    ipv4: Some(address),
                    ipv4_expiration_uuid: token,
                    ipv4_pool_name: "default".to_owned(),
                },
                host_addressing: config::addressing(&agent.own),
            };
            (StatusCode::CREATED, Json(answer)).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

/// Only a lease can be given back here; an endpoint's address goes with the endpoint.
pub async fn delete(State(agent): State<Arc<Agent>>, Path(ip): Path<Ipv4Addr>) -> Response {
    match agent.endpoints.release_lease(ip) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error.to_string()),
    }
}
