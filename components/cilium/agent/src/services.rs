//! From Service, EndpointSlice and Pod objects to what the datapath balances. Pure.
//!
//! Rules: Kubernetes "Virtual IPs and Service Proxies", KEP-1669 (terminating endpoints serve when no ready one is left) and
//! KEP-2433 (topology hints). Inside the cluster every address of a Service leads to all its endpoints, unless
//! `internalTrafficPolicy` says otherwise of its ClusterIP; outside, `externalTrafficPolicy` decides.

mod behind;
mod claim;
mod endpoints;
mod health;
mod health_checks;
mod host_ports;
mod kept;
mod names;
mod reserved;
mod taken;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use cilium_api::CiliumNode;
use datapath::{Frontend, Maglev, Protocol, Scope, Service as Balanced};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use self::behind::Behind;
pub use self::claim::{Claim, Owner, Place, Reach};
use self::endpoints::Endpoints;
pub use self::endpoints::{Slices, addresses_in, addresses_of, service_of};
pub use self::health::ServiceHealth;
pub use self::health_checks::HealthCheck;
pub use self::kept::{Claimant, Kept};
pub use self::names::ServiceNames;
use self::reserved::ClusterIps;
#[cfg(test)]
pub(crate) use self::reserved::NOTHING;
pub use self::reserved::Reserved;
pub use self::taken::{Processes, Sockets, listens, processes, taken};

/// Kubernetes' well-known label; agents see it on the CiliumNode, which has the Node's labels.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The API server's default for `sessionAffinity: ClientIP`.
const AFFINITY_SECONDS: u32 = 10_800;

/// The node that balances.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    pub name: &'a str,
    /// Where node ports and host ports are.
    pub ip: Ipv4Addr,
    /// Its label `topology.kubernetes.io/zone`.
    pub zone: Option<&'a str>,
    /// As every node of the cluster has it.
    pub maglev: Option<Maglev>,
    /// What no Service gets by naming it.
    pub reserved: &'a Reserved,
}

impl<'a> Own<'a> {
    /// `node` is what is known of it now.
    pub fn of(
        own: &'a crate::agent::Own,
        node: Option<&'a CiliumNode>,
        reserved: &'a Reserved,
    ) -> Self {
        let labels = node.and_then(|node| node.metadata.labels.as_ref());
        Self {
            name: &own.name,
            ip: own.ip,
            zone: labels
                .and_then(|labels| labels.get(ZONE))
                .map(String::as_str),
            maglev: own.maglev,
            reserved,
        }
    }
}

/// One port of one Service, and what answers there.
struct Published<'a> {
    service: &'a Service,
    spec: &'a ServiceSpec,
    port: &'a ServicePort,
    protocol: Protocol,
    endpoints: Endpoints<'a>,
}

/// Every address and port of Services, and the host ports of this node's pods. Headless and ExternalName services have no address to
/// balance.
///
/// Two claims of one address and port: the older Service keeps it, and a Service goes before a host port; who only names it
/// (`externalIPs`, a load balancer's status) comes after all of these. What is [`Reserved`], or another Service's ClusterIP, no Service
/// gets by naming it.
pub fn claims<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: &Slices<'a>,
    pods: impl IntoIterator<Item = &'a Pod>,
    own: Own<'a>,
) -> BTreeMap<Frontend, Claim<'a>> {
    let mut claims = BTreeMap::new();
    let services = oldest_first(services);
    let mut cluster_ips = ClusterIps::default();
    for service in &services {
        cluster_ips.follow(&owned(key(service)), Some(service));
    }
    let mut named = Vec::new();
    for service in services {
        let name = owned(key(service));
        for claim in of_service(service, slices.behind(key(service)), own) {
            let at = claim.balanced.frontend;
            if !claim.owner.is_named() {
                claims.entry(at).or_insert(claim);
            } else if cluster_ips.refusal(own.reserved, at, &name).is_none() {
                named.push(claim);
            }
        }
    }
    for claim in host_ports::of(pods, own.ip).chain(named) {
        claims.entry(claim.balanced.frontend).or_insert(claim);
    }
    claims
}

/// Every address and port of one Service. Of two that are the same the first counts.
fn of_service<'a>(
    service: &'a Service,
    slices: &[&'a EndpointSlice],
    own: Own<'a>,
) -> Vec<Claim<'a>> {
    let Some((address, spec)) = cluster_address(service) else {
        return Vec::new();
    };
    let mut claims = Vec::new();
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = protocol(port.protocol.as_deref()) else {
            continue;
        };
        let published = Published {
            service,
            spec,
            port,
            protocol,
            endpoints: Endpoints::of(slices, port, protocol, own),
        };
        claims.extend(published.cluster_ip(address));
        claims.extend(published.external(own));
    }
    claims
}

fn oldest_first<'a>(services: impl IntoIterator<Item = &'a Service>) -> Vec<&'a Service> {
    let mut services: Vec<&Service> = services.into_iter().collect();
    services.sort_by_key(|service| {
        let metadata = &service.metadata;
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created.is_none(), created, key(service))
    });
    services
}

impl<'a> Published<'a> {
    fn cluster_ip(&self, ip: Ipv4Addr) -> Option<Claim<'a>> {
        let local = self.spec.internal_traffic_policy.as_deref() == Some("Local");
        let mut balanced = self.balanced(ip, self.port.port, Scope::Inside, local)?;
        balanced.exclusive = true;
        let owner = Owner::Service(self.service, Reach::ClusterIp);
        Some(Claim { owner, balanced })
    }

    fn external(&self, own: Own<'_>) -> Vec<Claim<'a>> {
        let mut all = Vec::new();
        if let Some(port) = self.port.node_port.filter(|port| *port != 0) {
            all.extend(self.for_everybody(Reach::NodePort, (own.ip, port), own, &[]));
        }
        let texts = self.spec.external_ips.iter().flatten();
        for ip in texts.filter_map(|text| endpoints::address(text)) {
            let at = (ip, self.port.port);
            all.extend(self.for_everybody(Reach::ExternalIp, at, own, &[]));
        }
        let ranges = source_ranges(self.spec);
        for ip in load_balancer_addresses(self.service) {
            let at = (ip, self.port.port);
            all.extend(self.for_everybody(Reach::LoadBalancer, at, own, &ranges));
        }
        all
    }

    /// From inside, an address of the outside is a way to the Service like any other.
    fn for_everybody(
        &self,
        reach: Reach,
        (ip, port): (Ipv4Addr, i32),
        own: Own<'_>,
        ranges: &[Ipv4Net],
    ) -> Vec<Claim<'a>> {
        let local = self.spec.external_traffic_policy.as_deref() == Some("Local");
        let inside = self.balanced(ip, port, Scope::Inside, false);
        let outside = self.balanced(ip, port, Scope::Outside, local);
        let outside = outside.map(|balanced| Balanced {
            // Pods still send what is not the Service's there on its way: other nodes may serve it.
            exclusive: reach == Reach::LoadBalancer,
            source_ranges: ranges.to_vec(),
            maglev: own
                .maglev
                .filter(|maglev| maglev.suits(balanced.backends.len())),
            ..balanced
        });
        let owner = Owner::Service(self.service, reach);
        let both = inside.into_iter().chain(outside);
        both.map(|balanced| Claim { owner, balanced }).collect()
    }

    fn balanced(&self, ip: Ipv4Addr, port: i32, scope: Scope, local: bool) -> Option<Balanced> {
        let (backends, when_empty) = self.endpoints.choose(local);
        Some(Balanced {
            frontend: Frontend {
                ip,
                port: u16::try_from(port).ok()?,
                protocol: self.protocol,
                scope,
            },
            backends,
            affinity_seconds: affinity(self.spec),
            when_empty,
            exclusive: false,
            source_ranges: Vec::new(),
            maglev: None,
        })
    }
}

/// Namespace and name.
pub type Key<'a> = (&'a str, &'a str);

fn key(service: &Service) -> Key<'_> {
    let metadata = &service.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn owned((namespace, name): Key<'_>) -> crate::watch::Key {
    (namespace.to_owned(), name.to_owned())
}

/// Labels by which a Service or a slice says that another program balances it, or that nobody does.
const NOT_OURS: [&str; 2] = [
    "service.kubernetes.io/service-proxy-name",
    "service.kubernetes.io/headless",
];

fn is_left_to_others(metadata: &ObjectMeta) -> bool {
    let labels = metadata.labels.as_ref();
    labels.is_some_and(|labels| NOT_OURS.iter().any(|label| labels.contains_key(*label)))
}

fn cluster_address(service: &Service) -> Option<(Ipv4Addr, &ServiceSpec)> {
    if is_left_to_others(&service.metadata) {
        return None;
    }
    Some((spec_address(service)?, service.spec.as_ref()?))
}

/// The ClusterIP, whoever balances it.
fn spec_address(service: &Service) -> Option<Ipv4Addr> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let mut all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    all.find_map(|text| text.parse().ok())
}

/// Addresses whose balancer hands packets to nodes as they are (KEP-1860: `ipMode: Proxy` does not).
fn load_balancer_addresses(service: &Service) -> impl Iterator<Item = Ipv4Addr> {
    let is_one = service
        .spec
        .as_ref()
        .is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    let status = service.status.as_ref().filter(|_| is_one);
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    balancer
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| endpoints::address(ingress.ip.as_ref()?))
}

/// A range that cannot be read opens the Service to nobody: what was meant is narrower than everybody.
fn source_ranges(spec: &ServiceSpec) -> Vec<Ipv4Net> {
    let Some(texts) = spec
        .load_balancer_source_ranges
        .as_ref()
        .filter(|texts| !texts.is_empty())
    else {
        return Vec::new();
    };
    let nobody = Ipv4Net::from(Ipv4Addr::UNSPECIFIED);
    let mut ranges: Vec<Ipv4Net> = texts
        .iter()
        .filter_map(|text| text.trim().parse().ok())
        .map(|range: Ipv4Net| range.trunc())
        .collect();
    if ranges.is_empty() {
        ranges.push(nobody);
    }
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
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

#[cfg(test)]
mod tests;
