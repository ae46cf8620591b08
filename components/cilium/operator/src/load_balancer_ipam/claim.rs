//! What a Service says: whether its addresses are ours to give, which it has, which it asks for, and with whom it shares.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use cilium_api::{
    load_balancer_pool::{
        LOAD_BALANCER_CLASSES, REQUEST_ANNOTATIONS, REQUEST_SATISFIED, SERVICE_NAME_LABEL,
        SERVICE_NAMESPACE_LABEL, SHARING_ACROSS_ANNOTATIONS, SHARING_KEY_ANNOTATIONS,
    },
    names,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{LoadBalancerIngress, Service, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::ResourceExt;

use super::{PARTLY, pool::Pool};
use crate::cache::Key;

/// What a Service is to us.
#[derive(Debug)]
pub(super) enum Standing {
    /// We give it addresses.
    Served,
    /// We do not any more: our condition goes, and this is what is left of its ingress.
    Leaving(Vec<LoadBalancerIngress>),
    /// Somebody else's.
    Theirs,
}

/// One address a Service asks for.
#[derive(Debug)]
pub(super) enum Request {
    Address(Ipv4Addr),
    /// What cannot be given to anybody, and why.
    Unusable(String),
}

/// What decides whether Services may have one address together.
#[derive(Debug)]
pub(super) struct Sharing {
    pub(super) key: Option<String>,
    /// Namespaces it shares with beside its own; `*` is all.
    pub(super) across: BTreeSet<String>,
    pub(super) traffic: Traffic,
    /// Protocol and number.
    pub(super) ports: BTreeSet<(String, i32)>,
}

/// Where traffic from outside may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    Cluster,
    /// To pods of the node it comes to. Nodes differ in that by the pods that are selected, so sharers select the same.
    Local(BTreeMap<String, String>),
}

/// One Service, read.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) key: Key,
    pub(super) created: Option<Timestamp>,
    /// With those that every Service has for selectors.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) ingress: &'a [LoadBalancerIngress],
    /// Whether it has a condition of ours.
    pub(super) told: bool,
    pub(super) standing: Standing,
    pub(super) requests: Vec<Request>,
    pub(super) ipv4: bool,
    pub(super) sharing: Sharing,
}

impl<'a> Claim<'a> {
    /// `None` for a Service that has to do with load balancers neither now nor before.
    pub(super) fn of(service: &'a Service, pools: &[Pool<'_>]) -> Option<Self> {
        let (told, ingress) = (condition(service), ingress(service));
        if !is_load_balancer(service) && told.is_none() && ingress.is_empty() {
            return None;
        }
        let key = Key {
            namespace: service.namespace().unwrap_or_default(),
            name: service.name_any(),
        };
        let mut labels = service.labels().clone();
        labels.insert(SERVICE_NAMESPACE_LABEL.to_owned(), key.namespace.clone());
        labels.insert(SERVICE_NAME_LABEL.to_owned(), key.name.clone());
        let families = spec(service).and_then(|s| s.ip_families.as_ref());
        Some(Self {
            created: service.creation_timestamp().map(|t| t.0),
            ingress,
            told: told.is_some(),
            standing: standing(service, &labels, pools),
            labels,
            requests: requests(service, &key),
            ipv4: families.is_none_or(|f| f.is_empty() || f.iter().any(|one| one == "IPv4")),
            sharing: sharing(service),
            key,
        })
    }

    /// Addresses it has, each once.
    pub(super) fn held(&self) -> Vec<Ipv4Addr> {
        let mut held = Vec::new();
        for address in self.ingress.iter().filter_map(address) {
            if !held.contains(&address) {
                held.push(address);
            }
        }
        held
    }

    /// Whether it still asks for an address it has. What cannot be read may have been meant to say this one.
    pub(super) fn still_wants(&self, address: Ipv4Addr) -> bool {
        self.requests.is_empty()
            || self.requests.iter().any(|request| match request {
                Request::Address(asked) => *asked == address,
                Request::Unusable(_) => true,
            })
    }
}

/// The address of an entry, when it is one of IPv4.
pub(super) fn address(entry: &LoadBalancerIngress) -> Option<Ipv4Addr> {
    entry.ip.as_deref()?.parse().ok()
}

/// The ingress of a Service.
pub(super) fn ingress(service: &Service) -> &[LoadBalancerIngress] {
    let status = service.status.as_ref();
    status
        .and_then(|s| s.load_balancer.as_ref()?.ingress.as_deref())
        .unwrap_or_default()
}

/// Our condition of a Service.
pub(super) fn condition(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == REQUEST_SATISFIED)
}

fn spec(service: &Service) -> Option<&ServiceSpec> {
    service.spec.as_ref()
}

fn is_load_balancer(service: &Service) -> bool {
    spec(service).and_then(|s| s.type_.as_deref()) == Some("LoadBalancer")
}

fn standing(service: &Service, labels: &BTreeMap<String, String>, pools: &[Pool<'_>]) -> Standing {
    // Who is on the way out keeps what it has and gets nothing.
    if service.metadata.deletion_timestamp.is_some() {
        return Standing::Theirs;
    }
    let told = condition(service);
    let ingress = ingress(service);
    let class = spec(service).and_then(|s| s.load_balancer_class.as_deref());
    let left = if !is_load_balancer(service) {
        Vec::new()
    } else if class.is_some_and(|class| !LOAD_BALANCER_CLASSES.contains(&class)) {
        let of_a_pool = |entry: &&LoadBalancerIngress| {
            address(entry).is_some_and(|a| pools.iter().any(|pool| pool.spans.contains(a)))
        };
        ingress.iter().filter(|e| !of_a_pool(e)).cloned().collect()
    } else {
        let gave = told.is_some_and(|c| c.status == "True" || c.reason == PARTLY);
        let may_be_ours = |entry: &LoadBalancerIngress| {
            let selecting = |pool: &&Pool<'_>| pool.selects(labels);
            address(entry).is_some_and(|a| {
                pools
                    .iter()
                    .filter(selecting)
                    .any(|pool| pool.spans.contains(a))
            })
        };
        let stray = !ingress.iter().all(may_be_ours);
        let named = ingress.iter().any(|entry| entry.hostname.is_some());
        if !named && !(stray && (!gave || overwritten(service))) {
            return Standing::Served;
        }
        ingress.to_vec()
    };
    if told.is_some() {
        Standing::Leaving(left)
    } else {
        Standing::Theirs
    }
}

/// Whether the API server knows somebody else as the one who wrote the ingress: two that write it in turn would never end.
fn overwritten(service: &Service) -> bool {
    let pointer = "/f:status/f:loadBalancer/f:ingress";
    let mut writers = service.managed_fields().iter().filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer(pointer).is_some())
    });
    let ours = |manager: Option<&str>| manager == Some(names::OPERATOR);
    let first = writers.next().map(|w| ours(w.manager.as_deref()));
    first == Some(false) && !writers.any(|w| ours(w.manager.as_deref()))
}

fn annotation<'a>(
    service: &'a Service,
    names: [&'static str; 2],
) -> Option<(&'static str, &'a str)> {
    let find = |name| Some((name, service.annotations().get(name)?.as_str()));
    names.into_iter().find_map(find)
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty())
}

fn requests(service: &Service, key: &Key) -> Vec<Request> {
    let (from, listing) = annotation(service, REQUEST_ANNOTATIONS).unwrap_or_default();
    let annotated = listed(listing).map(|text| (text, format!("annotation {from}")));
    let field = spec(service).and_then(|s| s.load_balancer_ip.as_deref());
    let field = listed(field.unwrap_or_default()).map(|text| (text, "loadBalancerIP".to_owned()));
    let mut seen = BTreeSet::new();
    annotated
        .chain(field)
        .filter(|(text, _)| seen.insert(*text))
        .map(|(text, from)| match text.parse() {
            Ok(address) => Request::Address(address),
            Err(_) => Request::Unusable(format!(
                "{from} of Service {key} asks for {text:?}, which is no IPv4 address; write one, as in 192.0.2.10"
            )),
        })
        .collect()
}

fn sharing(service: &Service) -> Sharing {
    let across = annotation(service, SHARING_ACROSS_ANNOTATIONS).map(|(_, text)| text);
    let key = annotation(service, SHARING_KEY_ANNOTATIONS).map(|(_, text)| text);
    let local = spec(service).and_then(|s| s.external_traffic_policy.as_deref()) == Some("Local");
    let selector = spec(service).and_then(|s| s.selector.clone());
    let ports = spec(service).and_then(|s| s.ports.as_ref());
    Sharing {
        key: key.filter(|key| !key.is_empty()).map(str::to_owned),
        across: listed(across.unwrap_or_default())
            .map(str::to_owned)
            .collect(),
        traffic: if local {
            Traffic::Local(selector.unwrap_or_default())
        } else {
            Traffic::Cluster
        },
        ports: ports
            .into_iter()
            .flatten()
            .map(|port| {
                let protocol = port.protocol.as_deref().unwrap_or("TCP");
                (protocol.to_owned(), port.port)
            })
            .collect(),
    }
}
