//! From Service and EndpointSlice objects to what the datapath balances. Pure.
//!
//! Rules: Kubernetes "Virtual IPs and Service Proxies" and KEP-1669 (terminating endpoints serve when no ready one is left).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use datapath::{Backend, Frontend, Protocol, Service as Balanced};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

/// The label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The API server's default for `sessionAffinity: ClientIP`.
const AFFINITY_SECONDS: u32 = 10_800;

/// Every ClusterIP service with TCP or UDP ports. Headless and ExternalName services have no address to balance.
///
/// `node` is the own node's name, for `internalTrafficPolicy: Local`.
pub fn translate<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    node: &str,
) -> BTreeMap<Frontend, Balanced> {
    let by_service = group(slices);
    let mut balanced = BTreeMap::new();
    for service in services {
        let Some((address, spec)) = cluster_address(service) else {
            continue;
        };
        let slices = by_service.get(&key(service)).map_or(&[][..], Vec::as_slice);
        let local_only = spec.internal_traffic_policy.as_deref() == Some("Local");
        for port in spec.ports.iter().flatten() {
            let Some(frontend) = frontend(address, port) else {
                continue;
            };
            let only = local_only.then_some(node);
            balanced.insert(
                frontend,
                Balanced {
                    frontend,
                    backends: backends(slices, port, frontend.protocol, only),
                    affinity_seconds: affinity(spec),
                },
            );
        }
    }
    balanced
}

/// Addresses behind a Service whatever its ports; used for the API server's own.
pub fn addresses_of<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    namespace: &str,
    name: &str,
) -> BTreeSet<Ipv4Addr> {
    slices
        .into_iter()
        .filter(|slice| {
            slice.metadata.namespace.as_deref() == Some(namespace)
                && service_of(slice) == Some(name)
        })
        .flat_map(|slice| slice.endpoints.iter().flatten())
        .flat_map(addresses)
        .collect()
}

type Key<'a> = (&'a str, &'a str);

fn key(service: &Service) -> Key<'_> {
    let metadata = &service.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn service_of(slice: &EndpointSlice) -> Option<&str> {
    let labels = slice.metadata.labels.as_ref()?;
    labels.get(SERVICE_NAME).map(String::as_str)
}

fn group<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> BTreeMap<Key<'a>, Vec<&'a EndpointSlice>> {
    let mut by_service: BTreeMap<Key<'a>, Vec<&'a EndpointSlice>> = BTreeMap::new();
    for slice in slices
        .into_iter()
        .filter(|slice| slice.address_type == "IPv4")
    {
        if let Some(name) = service_of(slice) {
            let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
            by_service.entry((namespace, name)).or_default().push(slice);
        }
    }
    by_service
}

fn cluster_address(service: &Service) -> Option<(Ipv4Addr, &ServiceSpec)> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let mut all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let address = all.find_map(|text| text.parse().ok())?;
    Some((address, spec))
}

fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

fn frontend(ip: Ipv4Addr, port: &ServicePort) -> Option<Frontend> {
    Some(Frontend {
        ip,
        port: u16::try_from(port.port).ok()?,
        protocol: protocol(port.protocol.as_deref())?,
    })
}

fn affinity(spec: &ServiceSpec) -> Option<u32> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let seconds = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    Some(
        seconds
            .and_then(|s| u32::try_from(s).ok())
            .unwrap_or(AFFINITY_SECONDS),
    )
}

fn backends(
    slices: &[&EndpointSlice],
    port: &ServicePort,
    protocol: Protocol,
    only_node: Option<&str>,
) -> Vec<Backend> {
    let collect = |wanted: fn(&EndpointConditions) -> bool| -> BTreeSet<Backend> {
        slices
            .iter()
            .filter_map(|slice| Some((slice, target_port(slice, port, protocol)?)))
            .flat_map(|(slice, port)| slice.endpoints.iter().flatten().map(move |e| (e, port)))
            .filter(|(endpoint, _)| {
                only_node.is_none_or(|node| endpoint.node_name.as_deref() == Some(node))
            })
            .filter(|(endpoint, _)| wanted(&endpoint.conditions.clone().unwrap_or_default()))
            .flat_map(|(endpoint, port)| addresses(endpoint).map(move |ip| Backend { ip, port }))
            .collect()
    };
    let ready = collect(is_ready);
    let chosen = if ready.is_empty() {
        collect(is_serving_while_terminating)
    } else {
        ready
    };
    chosen.into_iter().collect()
}

/// A slice's port of the same name and protocol; no name on either side counts as equal.
fn target_port(slice: &EndpointSlice, wanted: &ServicePort, protocol: Protocol) -> Option<u16> {
    let same = |port: &&EndpointPort| {
        port.name.as_deref().unwrap_or_default() == wanted.name.as_deref().unwrap_or_default()
            && self::protocol(port.protocol.as_deref()) == Some(protocol)
    };
    let port = slice.ports.iter().flatten().find(same)?;
    u16::try_from(port.port?).ok().filter(|port| *port != 0)
}

/// An absent `ready` means ready (discovery/v1).
fn is_ready(conditions: &EndpointConditions) -> bool {
    conditions.ready.unwrap_or(true)
}

fn is_serving_while_terminating(conditions: &EndpointConditions) -> bool {
    conditions.terminating == Some(true) && conditions.serving == Some(true)
}

/// A slice is written by whoever may write it: addresses that mean the node itself are no backend of anybody.
fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = Ipv4Addr> {
    endpoint
        .addresses
        .iter()
        .filter_map(|text| text.parse::<Ipv4Addr>().ok())
        .filter(|ip| {
            !(ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_unspecified())
        })
}

#[cfg(test)]
mod tests;
