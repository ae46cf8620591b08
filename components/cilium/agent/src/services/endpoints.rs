//! Which endpoints of a Service's port a node sends connections to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use datapath::{Backend, Protocol, WhenEmpty};
use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

use super::{Key, Own, Place, is_left_to_others};

/// The label by which a slice names its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The endpoints of one port, each with the port its slice says.
pub(super) struct Endpoints<'a> {
    all: Vec<(&'a Endpoint, u16)>,
    own: Own<'a>,
}

impl<'a> Endpoints<'a> {
    pub(super) fn of(
        slices: &[&'a EndpointSlice],
        port: &ServicePort,
        protocol: Protocol,
        own: Own<'a>,
    ) -> Self {
        let all = slices
            .iter()
            .filter_map(|slice| Some((slice, target_port(slice, port, protocol)?)))
            .flat_map(|(slice, port)| slice.endpoints.iter().flatten().map(move |e| (e, port)))
            .collect();
        Self { all, own }
    }

    /// Where connections go, in order; `local`: only to this node's. If to nobody, whether that is said: endpoints elsewhere may
    /// be reached through other nodes.
    pub(super) fn choose(&self, local: bool) -> (Vec<Backend>, WhenEmpty) {
        let everywhere = self.usable(|_| true);
        if !local {
            return (backends(&self.near(everywhere)), WhenEmpty::Refuse);
        }
        let when_empty = if everywhere.is_empty() {
            WhenEmpty::Refuse
        } else {
            WhenEmpty::Drop
        };
        let here = |endpoint: &Endpoint| endpoint.node_name.as_deref() == Some(self.own.name);
        (backends(&self.usable(here)), when_empty)
    }

    /// The ready ones, else those that still serve.
    fn usable(&self, wanted: impl Fn(&Endpoint) -> bool) -> Vec<(&'a Endpoint, u16)> {
        let with = |condition: fn(&EndpointConditions) -> bool| -> Vec<_> {
            let all = self.all.iter().filter(|(endpoint, _)| wanted(endpoint));
            all.filter(|(endpoint, _)| condition(&endpoint.conditions.clone().unwrap_or_default()))
                .copied()
                .collect()
        };
        let ready = with(is_ready);
        if ready.is_empty() {
            with(is_serving_while_terminating)
        } else {
            ready
        }
    }

    /// Those meant for this node, or for its zone. Hints count only when every endpoint has one: without that, endpoints and hints
    /// do not belong together yet, and some would get no connection at all.
    fn near(&self, usable: Vec<(&'a Endpoint, u16)>) -> Vec<(&'a Endpoint, u16)> {
        for hinted in [is_for_node, is_for_zone] {
            let answers: Vec<_> = usable
                .iter()
                .map(|(endpoint, _)| hinted(endpoint, self.own))
                .collect();
            if answers.iter().all(Option::is_some) && answers.contains(&Some(true)) {
                let meant = usable.iter().zip(answers);
                return meant
                    .filter(|(_, answer)| *answer == Some(true))
                    .map(|(one, _)| *one)
                    .collect();
            }
        }
        usable
    }
}

/// How many ready endpoints a node has, whatever their ports.
pub(super) fn ready_on<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    node: &str,
) -> usize {
    let endpoints = slices
        .into_iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    let here = endpoints.filter(|endpoint| {
        endpoint.node_name.as_deref() == Some(node)
            && is_ready(&endpoint.conditions.clone().unwrap_or_default())
    });
    here.flat_map(addresses).collect::<BTreeSet<_>>().len()
}

/// Everybody behind a Service, by address. One that two slices name is terminating when both say so.
pub(super) fn places<'a>(slices: &[&'a EndpointSlice]) -> BTreeMap<Ipv4Addr, Place<'a>> {
    let mut places: BTreeMap<Ipv4Addr, Place<'a>> = BTreeMap::new();
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    for endpoint in endpoints {
        let conditions = endpoint.conditions.as_ref();
        let place = Place {
            node: endpoint.node_name.as_deref().unwrap_or_default(),
            zone: endpoint.zone.as_deref().unwrap_or_default(),
            terminating: conditions.is_some_and(|known| known.terminating == Some(true)),
        };
        for ip in addresses(endpoint) {
            let known = places.entry(ip).or_insert(place);
            if known.terminating {
                *known = place;
            }
        }
    }
    places
}

/// `None`: the endpoint has no such hint.
fn is_for_node(endpoint: &Endpoint, own: Own<'_>) -> Option<bool> {
    let hints = endpoint.hints.as_ref()?.for_nodes.as_ref()?;
    (!hints.is_empty()).then(|| hints.iter().any(|hint| hint.name == own.name))
}

/// As above. A node without a zone is in none.
fn is_for_zone(endpoint: &Endpoint, own: Own<'_>) -> Option<bool> {
    let hints = endpoint.hints.as_ref()?.for_zones.as_ref()?;
    (!hints.is_empty()).then(|| {
        hints
            .iter()
            .any(|hint| Some(hint.name.as_str()) == own.zone)
    })
}

fn backends(endpoints: &[(&Endpoint, u16)]) -> Vec<Backend> {
    let distinct: BTreeSet<Backend> = endpoints
        .iter()
        .flat_map(|(endpoint, port)| addresses(endpoint).map(|ip| Backend { ip, port: *port }))
        .collect();
    distinct.into_iter().collect()
}

/// Addresses in slices, whatever their ports.
pub fn addresses_in<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> BTreeSet<Ipv4Addr> {
    let endpoints = slices
        .into_iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    endpoints.flat_map(addresses).collect()
}

/// Those behind one Service; used for the API server's own.
pub fn addresses_of<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    service: Key<'_>,
) -> BTreeSet<Ipv4Addr> {
    let slices = slices.into_iter();
    addresses_in(slices.filter(|slice| service_of(slice) == Some(service)))
}

/// The Service that a slice is of.
pub fn service_of(slice: &EndpointSlice) -> Option<Key<'_>> {
    let labels = slice.metadata.labels.as_ref()?;
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    Some((namespace, labels.get(SERVICE_NAME)?))
}

/// The slices of each Service.
#[derive(Debug, Default)]
pub struct Slices<'a>(BTreeMap<Key<'a>, Vec<&'a EndpointSlice>>);

impl<'a> Slices<'a> {
    /// Those that name a Service and are for us.
    pub fn of(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        Self(group(slices))
    }

    /// None is fine: the Service has no endpoints.
    pub(super) fn behind(&self, service: Key<'a>) -> &[&'a EndpointSlice] {
        self.0.get(&service).map_or(&[][..], Vec::as_slice)
    }
}

/// Whether it is for us.
pub(super) fn is_balanced(slice: &EndpointSlice) -> bool {
    slice.address_type == "IPv4" && !is_left_to_others(&slice.metadata)
}

fn group<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> BTreeMap<Key<'a>, Vec<&'a EndpointSlice>> {
    let mut by_service: BTreeMap<Key<'a>, Vec<&'a EndpointSlice>> = BTreeMap::new();
    for slice in slices.into_iter().filter(|slice| is_balanced(slice)) {
        if let Some(service) = service_of(slice) {
            by_service.entry(service).or_default().push(slice);
        }
    }
    by_service
}

/// A slice's port of the same name and protocol; no name on either side counts as equal.
fn target_port(slice: &EndpointSlice, wanted: &ServicePort, protocol: Protocol) -> Option<u16> {
    let same = |port: &&EndpointPort| {
        port.name.as_deref().unwrap_or_default() == wanted.name.as_deref().unwrap_or_default()
            && super::protocol(port.protocol.as_deref()) == Some(protocol)
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

fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = Ipv4Addr> {
    endpoint.addresses.iter().filter_map(|text| address(text))
}

/// Slices and Services are written by whoever may write them: addresses that mean the node itself are no backend of anybody, and no
/// Service takes them.
pub(super) fn address(text: &str) -> Option<Ipv4Addr> {
    let ip: Ipv4Addr = text.parse().ok()?;
    let of_the_node = ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_unspecified();
    (!of_the_node).then_some(ip)
}
