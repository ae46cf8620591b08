//! What is balanced, kept from look to look: only what changed is decided anew.
//!
//! The same as [`claims`](super::claims) says of everything at once, which a test holds it against.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use datapath::{Frontend, Protocol, Scope, Service as Balanced};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::health_checks::HealthCheck;
use super::reserved::{ClusterIps, Refusal, Reserved};
use super::{Behind, Claim, Own, endpoints, health_checks, host_ports, of_service};
use crate::kubernetes::Watched;
use crate::seen::Seen;
use crate::watch::Key;

/// What has addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Service,
    HostPort,
}

/// Who wants an address and port. The least one gets it: Services go before host ports, the older one before the younger, and one
/// without an age last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    kind: Kind,
    ageless: bool,
    created: Option<Timestamp>,
    key: Key,
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::Service => "Service",
            Kind::HostPort => "host port of Pod",
        };
        let (namespace, name) = &self.key;
        write!(f, "{what} {namespace}/{name}")
    }
}

/// One object's claim to an address and port.
#[derive(Debug)]
struct Wish {
    claimant: Arc<Claimant>,
    /// Whoever wrote the Service chose the address.
    named: bool,
    balanced: Balanced,
}

impl Wish {
    /// The process that keeps the port is the Service's own endpoint there: whoever asks comes to the Service after all.
    fn is_served(&self, why: &Refusal) -> bool {
        let Frontend { ip, port, .. } = self.balanced.frontend;
        let mut ends = self.balanced.backends.iter();
        *why == Refusal::Process && ends.any(|end| (end.ip, end.port) == (ip, port))
    }
}

/// What each object wants, and what each address and port is for.
#[derive(Debug, Default)]
pub struct Kept {
    services: Seen<Service>,
    slices: Seen<EndpointSlice>,
    pods: Seen<Pod>,
    behind: Behind,
    checks: BTreeMap<Key, (u16, HealthCheck)>,
    /// Of the node; what is nearest depends on it.
    zone: Option<String>,
    wishes: BTreeMap<(Kind, Key), (Arc<Claimant>, Vec<Frontend>)>,
    /// In order; a list, since nearly always there is one.
    claims: BTreeMap<Frontend, Vec<Wish>>,
    cluster_ips: ClusterIps,
    reserved: Reserved,
}

impl Kept {
    /// Takes over what changed since the last look. The answer are the addresses and ports that may be balanced otherwise now.
    pub fn follow(&mut self, watched: &Watched, own: Own<'_>) -> BTreeSet<Frontend> {
        let services = self.services.follow(&watched.services);
        let pods = self.pods.follow(&watched.pods);
        let mut asked = self.behind.follow(self.slices.follow(&watched.slices));
        asked.extend(services.put.into_iter().map(|(key, _)| key));
        asked.extend(services.gone);
        if self.zone.as_deref() != own.zone {
            self.zone = own.zone.map(str::to_owned);
            asked.extend(self.services.objects().keys().cloned());
        }
        let mut touched = BTreeSet::new();
        if self.reserved != *own.reserved {
            self.reserved = own.reserved.clone();
            let named = |(_, wishes): &(_, &Vec<Wish>)| wishes.iter().any(|wish| wish.named);
            touched.extend(self.claims.iter().filter(named).map(|(at, _)| *at));
        }
        for key in asked {
            self.ask_service(key, own, &mut touched);
        }
        for key in pods.gone {
            self.settle(Kind::HostPort, key, None, Vec::new(), &mut touched);
        }
        for (key, pod) in pods.put {
            let wishes = host_ports::of([&*pod], own.ip).map(wished).collect();
            self.settle(Kind::HostPort, key, None, wishes, &mut touched);
        }
        touched
    }

    fn ask_service(&mut self, key: Key, own: Own<'_>, touched: &mut BTreeSet<Frontend>) {
        let mut created = None;
        let mut wishes = Vec::new();
        self.checks.remove(&key);
        let service = self.services.get(&key).cloned();
        for ip in self.cluster_ips.follow(&key, service.as_deref()) {
            touched.extend(self.frontends_at(ip));
        }
        if let Some(service) = &service {
            let age = service.metadata.creation_timestamp.as_ref();
            created = age.map(|time| time.0);
            let slices = self.behind.of(&key);
            let slices: Vec<_> = slices
                .filter(|slice| endpoints::is_balanced(slice))
                .collect();
            let claims = of_service(service, &slices, own).into_iter();
            wishes = claims.map(wished).collect();
            let check = health_checks::of(service, slices, own);
            self.checks.extend(check.map(|check| (key.clone(), check)));
        }
        self.settle(Kind::Service, key, created, wishes, touched);
    }

    /// Of each wish whether its address was chosen. What an object wanted before it wants no more.
    fn settle(
        &mut self,
        kind: Kind,
        key: Key,
        created: Option<Timestamp>,
        wishes: Vec<(bool, Balanced)>,
        touched: &mut BTreeSet<Frontend>,
    ) {
        if let Some((claimant, frontends)) = self.wishes.remove(&(kind, key.clone())) {
            for frontend in frontends {
                touched.insert(frontend);
                if let Some(claims) = self.claims.get_mut(&frontend) {
                    claims.retain(|wish| wish.claimant != claimant);
                    if claims.is_empty() {
                        self.claims.remove(&frontend);
                    }
                }
            }
        }
        if wishes.is_empty() {
            return;
        }
        let claimant = Arc::new(Claimant {
            kind,
            ageless: created.is_none(),
            created,
            key: key.clone(),
        });
        let mut frontends = Vec::with_capacity(wishes.len());
        for (named, balanced) in wishes {
            let wish = Wish {
                claimant: claimant.clone(),
                named,
                balanced,
            };
            frontends.push(wish.balanced.frontend);
            let claims = self.claims.entry(wish.balanced.frontend).or_default();
            match claims.binary_search_by(|other| other.claimant.cmp(&claimant)) {
                Err(at) => {
                    claims.reserve_exact(1);
                    claims.insert(at, wish);
                }
                // What it has by its kind it does not lose behind what it only names.
                Ok(at) if claims[at].named && !wish.named => claims[at] = wish,
                Ok(_) => {}
            }
        }
        touched.extend(&frontends);
        self.wishes.insert((kind, key), (claimant, frontends));
    }

    /// What is to be balanced there, and whose it is: who has it by its kind goes before who only names it.
    pub fn at(&self, frontend: &Frontend) -> Option<(&Claimant, &Balanced)> {
        let wishes = self.claims.get(frontend)?;
        let mut named = wishes
            .iter()
            .filter(|wish| wish.named && self.refusal(wish).is_none());
        let by_kind = wishes.iter().find(|wish| !wish.named);
        let wish = by_kind.or_else(|| named.next())?;
        Some((&wish.claimant, &wish.balanced))
    }

    fn refusal(&self, wish: &Wish) -> Option<Refusal> {
        let at = wish.balanced.frontend;
        let judged = wish.named.then_some(&wish.claimant.key)?;
        self.cluster_ips.refusal(&self.reserved, at, judged)
    }

    fn frontends_at(&self, ip: Ipv4Addr) -> impl Iterator<Item = Frontend> {
        let first = Frontend {
            ip,
            port: 0,
            protocol: Protocol::Tcp,
            scope: Scope::Inside,
        };
        let from = self.claims.range(first..).map(|(at, _)| *at);
        from.take_while(move |at| at.ip == ip)
    }

    /// What each Service names and does not get, as a sentence.
    pub fn refused(&self) -> BTreeSet<String> {
        let mut by_service: BTreeMap<&Claimant, Vec<(&Frontend, Refusal)>> = BTreeMap::new();
        for wish in self.claims.values().flatten() {
            let at = &wish.balanced.frontend;
            if let Some(why) = self.refusal(wish).filter(|why| !wish.is_served(why)) {
                by_service
                    .entry(&wish.claimant)
                    .or_default()
                    .push((at, why));
            }
        }
        let sentences = by_service.into_iter();
        sentences
            .filter_map(|(claimant, refused)| sentence(claimant, &refused))
            .collect()
    }

    /// Every address and port that is to be balanced.
    pub fn frontends(&self) -> impl Iterator<Item = &Frontend> {
        self.claims.keys()
    }

    /// What is answered to load balancers, by port.
    pub fn health_checks(&self) -> BTreeMap<u16, HealthCheck> {
        self.checks.values().cloned().collect()
    }
}

fn wished(claim: Claim<'_>) -> (bool, Balanced) {
    (claim.owner.is_named(), claim.balanced)
}

/// One for all that a Service does not get, however much that is.
fn sentence(claimant: &Claimant, refused: &[(&Frontend, Refusal)]) -> Option<String> {
    let (at, why) = refused.first()?;
    let distinct: BTreeSet<_> = refused
        .iter()
        .map(|(at, _)| (at.ip, at.port, at.protocol))
        .collect();
    let others = match distinct.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more like it"),
    };
    let protocol = match at.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    Some(format!(
        "{claimant} names {}:{}/{protocol}{others}, {why}: it does not get it; give it another address or port",
        at.ip, at.port
    ))
}
