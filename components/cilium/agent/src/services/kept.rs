//! What is balanced, kept from look to look: only what changed is decided anew.
//!
//! The same as [`claims`](super::claims) says of everything at once, which a test holds it against.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use datapath::{Frontend, Service as Balanced};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::health_checks::HealthCheck;
use super::{Behind, Own, endpoints, health_checks, host_ports, of_service};
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
    claims: BTreeMap<Frontend, Vec<(Arc<Claimant>, Balanced)>>,
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
        for key in asked {
            self.ask_service(key, own, &mut touched);
        }
        for key in pods.gone {
            self.settle(Kind::HostPort, key, None, Vec::new(), &mut touched);
        }
        for (key, pod) in pods.put {
            let claims = host_ports::of([&*pod], own.ip);
            let wishes = claims.map(|claim| claim.balanced).collect();
            self.settle(Kind::HostPort, key, None, wishes, &mut touched);
        }
        touched
    }

    fn ask_service(&mut self, key: Key, own: Own<'_>, touched: &mut BTreeSet<Frontend>) {
        let mut created = None;
        let mut wishes = Vec::new();
        self.checks.remove(&key);
        if let Some(service) = self.services.get(&key) {
            let age = service.metadata.creation_timestamp.as_ref();
            created = age.map(|time| time.0);
            let slices = self.behind.of(&key);
            let slices: Vec<_> = slices
                .filter(|slice| endpoints::is_balanced(slice))
                .collect();
            let claims = of_service(service, &slices, own).into_iter();
            wishes = claims.map(|claim| claim.balanced).collect();
            let check = health_checks::of(service, slices, own);
            self.checks.extend(check.map(|check| (key.clone(), check)));
        }
        self.settle(Kind::Service, key, created, wishes, touched);
    }

    /// What an object wanted before it wants no more.
    fn settle(
        &mut self,
        kind: Kind,
        key: Key,
        created: Option<Timestamp>,
        wishes: Vec<Balanced>,
        touched: &mut BTreeSet<Frontend>,
    ) {
        if let Some((claimant, frontends)) = self.wishes.remove(&(kind, key.clone())) {
            for frontend in frontends {
                touched.insert(frontend);
                if let Some(claims) = self.claims.get_mut(&frontend) {
                    claims.retain(|(other, _)| *other != claimant);
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
        for balanced in wishes {
            frontends.push(balanced.frontend);
            let claims = self.claims.entry(balanced.frontend).or_default();
            if let Err(at) = claims.binary_search_by(|(other, _)| other.cmp(&claimant)) {
                claims.reserve_exact(1);
                claims.insert(at, (claimant.clone(), balanced));
            }
        }
        touched.extend(&frontends);
        self.wishes.insert((kind, key), (claimant, frontends));
    }

    /// What is to be balanced there, and whose it is.
    pub fn at(&self, frontend: &Frontend) -> Option<(&Claimant, &Balanced)> {
        let (claimant, balanced) = self.claims.get(frontend)?.first()?;
        Some((claimant, balanced))
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
