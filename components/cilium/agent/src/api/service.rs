//! `/v1/service`: where Services and host ports are reached: what the agent wants beside what the kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::service::{
    ACTIVE, BackendAddress, FrontendAddress, Scope, Service, ServiceFlags, ServiceSpec,
    ServiceStatus, TERMINATING,
};
use datapath::{Backend, Error, Frontend, Protocol, Service as Balanced};
use k8s_openapi::api::core::v1::ServiceSpec as Asked;

use crate::agent::{Agent, blocking};
use crate::api::{map_unreadable, refuse};
use crate::services::{Claim, Own, Owner, Place, Reach, Slices, claims};

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    match blocking(move || all(&agent)).await {
        Some(Ok(services)) => Json(services).into_response(),
        other => map_unreadable(other),
    }
}

pub async fn get(State(agent): State<Arc<Agent>>, Path(id): Path<u32>) -> Response {
    let services = match blocking(move || all(&agent)).await {
        Some(Ok(services)) => services,
        other => return map_unreadable(other),
    };
    let mut services = services.into_iter();
    match services.find(|service| service.spec.id == Some(id)) {
        Some(service) => Json(service).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            format!(
                "there is no service {id} in the datapath of this node; a service has another number after every change"
            ),
        ),
    }
}

fn all(agent: &Agent) -> Result<Vec<Service>, Error> {
    let realized = agent.datapath.numbered_services()?;
    let services = agent.watched.services.list();
    let slices = agent.watched.slices.list();
    let pods = agent.watched.pods.list();
    let node = agent.watched.nodes.get("", &agent.own.name);
    let services = services.iter().map(AsRef::as_ref);
    let slices = Slices::of(slices.iter().map(AsRef::as_ref));
    let reserved = agent.reserved();
    let own = Own::of(&agent.own, node.as_deref(), &reserved);
    let wanted = claims(services, &slices, pods.iter().map(AsRef::as_ref), own);
    Ok(describe(&wanted, realized, &slices))
}

/// Everything that is wanted, and everything the kernel has, in the order of addresses.
fn describe<'a>(
    wanted: &BTreeMap<Frontend, Claim<'a>>,
    realized: Vec<(u32, Balanced)>,
    slices: &Slices<'a>,
) -> Vec<Service> {
    let realized: BTreeMap<Frontend, (u32, Balanced)> = realized
        .into_iter()
        .map(|(id, balanced)| (balanced.frontend, (id, balanced)))
        .collect();
    let frontends: BTreeSet<Frontend> = wanted.keys().chain(realized.keys()).copied().collect();
    let one = |frontend: &Frontend| {
        let claim = wanted.get(frontend);
        let known = realized.get(frontend);
        let places = claim.map(|claim| claim.owner.places(slices));
        let places = places.unwrap_or_default();
        let spec = |backends: &[Backend]| ServiceSpec {
            id: known.map(|(id, _)| *id),
            frontend_address: address(*frontend, &frontends),
            backend_addresses: backends
                .iter()
                .map(|backend| self::backend(*backend, frontend.protocol, &places))
                .collect(),
            flags: claim.map(|claim| flags(claim.owner)).unwrap_or_default(),
        };
        Service {
            spec: spec(claim.map_or(&[], |claim| &claim.balanced.backends)),
            status: ServiceStatus {
                realized: known.map(|(_, balanced)| spec(&balanced.backends)),
            },
        }
    };
    frontends.iter().map(one).collect()
}

/// As Cilium says it: an entry of the inside is internal where the outside has one beside it, among `all`.
pub(super) fn address(frontend: Frontend, all: &BTreeSet<Frontend>) -> FrontendAddress {
    let outside = Frontend {
        scope: datapath::Scope::Outside,
        ..frontend
    };
    let is_internal = frontend != outside && all.contains(&outside);
    FrontendAddress {
        ip: frontend.ip,
        port: frontend.port,
        protocol: protocol(frontend.protocol).to_owned(),
        scope: if is_internal {
            Scope::Internal
        } else {
            Scope::External
        },
    }
}

/// One nobody knows a place of is one that the kernel still sends connections to.
fn backend(
    backend: Backend,
    protocol: Protocol,
    places: &BTreeMap<Ipv4Addr, Place<'_>>,
) -> BackendAddress {
    let place = places.get(&backend.ip).copied().unwrap_or_default();
    let state = if place.terminating {
        TERMINATING
    } else {
        ACTIVE
    };
    BackendAddress {
        ip: backend.ip,
        port: backend.port,
        protocol: self::protocol(protocol).to_owned(),
        node_name: place.node.to_owned(),
        zone: place.zone.to_owned(),
        state: state.to_owned(),
    }
}

fn flags(owner: Owner<'_>) -> ServiceFlags {
    let (kind, metadata, asked) = match owner {
        Owner::Service(service, reach) => (word(reach), &service.metadata, service.spec.as_ref()),
        Owner::HostPort(pod) => ("HostPort", &pod.metadata, None),
    };
    let policy = |of: fn(&Asked) -> Option<&String>| -> String {
        let is_local = |asked| of(asked).is_some_and(|policy| policy == "Local");
        let word = |asked| if is_local(asked) { "Local" } else { "Cluster" };
        asked.map(word).unwrap_or_default().to_owned()
    };
    let outside = policy(|asked| asked.external_traffic_policy.as_ref());
    ServiceFlags {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        kind: kind.to_owned(),
        traffic_policy: outside.clone(),
        ext_traffic_policy: outside,
        int_traffic_policy: policy(|asked| asked.internal_traffic_policy.as_ref()),
        health_check_node_port: owner.health_check_port(),
    }
}

fn word(reach: Reach) -> &'static str {
    match reach {
        Reach::ClusterIp => "ClusterIP",
        Reach::NodePort => "NodePort",
        Reach::ExternalIp => "ExternalIPs",
        Reach::LoadBalancer => "LoadBalancer",
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

#[cfg(test)]
mod tests;
