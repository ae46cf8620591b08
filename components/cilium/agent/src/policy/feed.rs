//! Tells the resolver what the watches have seen, kind by kind, and only what changed.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::{
    CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumEndpoint, CiliumIdentity,
    CiliumNetworkPolicy, CiliumNode,
};
use cilium_policy::{
    NamedPorts, Node, PolicyId, PolicyKind, Refusal, Repository, Service as Balanced, ServiceName,
};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::memory::Memory;
use crate::endpoint::Endpoint;
use crate::kubernetes::Watched;
use crate::nodes::{self, KnownNode};
use crate::ports;
use crate::seen::{Changed, Seen};
use crate::services::{Behind, addresses_in};
use crate::store::Store;
use crate::watch::Key;

/// What the resolver has been told.
#[derive(Debug, Default)]
pub(super) struct Feed {
    network_policies: Seen<NetworkPolicy>,
    policies: Seen<CiliumNetworkPolicy>,
    clusterwide: Seen<CiliumClusterwideNetworkPolicy>,
    groups: Seen<CiliumCIDRGroup>,
    identities: Seen<CiliumIdentity>,
    endpoints: Seen<CiliumEndpoint>,
    pods: Seen<Pod>,
    nodes: Seen<CiliumNode>,
    believed: Vec<KnownNode>,
    services: Seen<Service>,
    slices: Seen<EndpointSlice>,
    behind: Behind,
    ports: BTreeMap<u32, NamedPorts>,
    memory: Memory,
    changes: Changes,
}

/// Policies that were written or deleted, by whether they are followed in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub whole: u64,
    pub in_part: u64,
}

impl Changes {
    /// Tells the resolver of one kind's policies, and counts them.
    fn follow<K>(
        &mut self,
        repository: &mut Repository,
        kind: PolicyKind,
        changed: Changed<K>,
        upsert: fn(&mut Repository, &K) -> (PolicyId, Vec<Refusal>),
    ) {
        for (_, object) in &changed.put {
            self.add(tell(upsert(repository, object)));
        }
        for (namespace, name) in changed.gone {
            self.add(true);
            repository.remove_policy(&PolicyId {
                kind,
                namespace,
                name,
            });
        }
    }

    fn add(&mut self, whole: bool) {
        let counter = if whole {
            &mut self.whole
        } else {
            &mut self.in_part
        };
        *counter += 1;
    }
}

impl Feed {
    /// Begins with the policies that an earlier process had seen. Those that are gone by then are gone at the first look, but for
    /// those of a namespace that ends.
    pub(super) fn remembering(store: &Store, repository: &mut Repository) -> Self {
        let memory = Memory::read(store);
        let (network_policies, policies) = memory.seen();
        let mut feed = Self {
            network_policies,
            policies,
            memory,
            ..Self::default()
        };
        feed.begin_anew(repository);
        feed
    }

    /// Since the process began.
    pub(super) fn changes(&self) -> Changes {
        self.changes
    }

    /// Has the next process begin with what is known now. Sentences about what failed.
    pub(super) fn remember(&mut self, store: &Store, local: &[Endpoint]) -> Vec<String> {
        let Self {
            memory,
            network_policies,
            policies,
            ..
        } = self;
        memory.follow(store, &namespaces(local), network_policies, policies)
    }

    /// `local` are the endpoints of this node: their policies outlive the objects when a namespace ends.
    pub(super) fn tell(
        &mut self,
        repository: &mut Repository,
        watched: &Watched,
        local: &[Endpoint],
    ) {
        self.identities(repository, watched);
        self.ports(repository, watched, local);
        self.nodes(repository, watched);
        self.services(repository, watched);
        self.groups(repository, watched);
        let ending = Ending::new(watched, local);
        self.policies(repository, watched, &ending);
    }

    /// For a resolver that knows nothing yet. Policies are told as they are remembered: those that outlive their objects are nowhere
    /// else.
    pub(super) fn begin_anew(&mut self, repository: &mut Repository) {
        let Self {
            network_policies,
            policies,
            memory,
            changes,
            ..
        } = std::mem::take(self);
        for object in network_policies.objects().values() {
            tell(repository.upsert_network_policy(object));
        }
        for object in policies.objects().values() {
            tell(repository.upsert_cilium_policy(object));
        }
        *self = Self {
            network_policies,
            policies,
            memory,
            changes,
            ..Self::default()
        };
    }

    fn identities(&mut self, repository: &mut Repository, watched: &Watched) {
        let changed = self.identities.follow(&watched.identities);
        for (_, object) in &changed.put {
            if let Some(number) = object.number() {
                repository.upsert_identity(number.0, object.security_labels.clone());
            }
        }
        for (_, name) in &changed.gone {
            if let Ok(number) = name.parse() {
                repository.remove_identity(number);
            }
        }
    }

    /// Pods of this node are known before their CiliumEndpoint is written.
    fn ports(&mut self, repository: &mut Repository, watched: &Watched, local: &[Endpoint]) {
        let endpoints = self.endpoints.follow(&watched.endpoints);
        let pods = self.pods.follow(&watched.pods);
        if endpoints.is_empty() && pods.is_empty() {
            return;
        }
        let mut ports: BTreeMap<u32, NamedPorts> = BTreeMap::new();
        let mut add = |identity: u32, named: NamedPorts| {
            for (name, numbers) in named {
                let of = ports.entry(identity).or_default();
                of.entry(name).or_default().extend(numbers);
            }
        };
        for endpoint in watched.endpoints.list() {
            let identity = endpoint.status.identity.as_ref();
            if let Some(number) = identity.and_then(cilium_api::endpoint::EndpointIdentity::number)
            {
                add(number.0, ports::of_endpoint(&endpoint));
            }
        }
        for endpoint in local {
            let pod = endpoint.pod.as_ref();
            if let Some(pod) = pod.and_then(|pod| watched.pods.get(&pod.namespace, &pod.name)) {
                add(endpoint.identity.0, ports::by_name(&ports::of_pod(&pod)));
            }
        }
        for (identity, named) in &ports {
            if self.ports.get(identity) != Some(named) {
                repository.set_named_ports(*identity, named.clone());
            }
        }
        for identity in self
            .ports
            .keys()
            .filter(|known| !ports.contains_key(*known))
        {
            repository.set_named_ports(*identity, NamedPorts::new());
        }
        self.ports = ports;
    }

    /// A node that is not believed has neither labels nor an address: it would have another's rules, or lend another its own.
    fn nodes(&mut self, repository: &mut Repository, watched: &Watched) {
        if self.nodes.follow(&watched.nodes).is_empty() {
            return;
        }
        let objects = self.nodes.objects();
        let (believed, _) = nodes::accept(objects.values().map(AsRef::as_ref), &self.believed);
        let names: BTreeSet<&str> = believed.iter().map(|node| node.name.as_str()).collect();
        for gone in &self.believed {
            if !names.contains(gone.name.as_str()) {
                repository.remove_node(&gone.name);
            }
        }
        for known in &believed {
            let object = objects.get(&(String::new(), known.name.clone()));
            let labels = object.and_then(|object| object.metadata.labels.clone());
            let node = Node {
                labels: labels.unwrap_or_default(),
                addresses: [known.ip].into(),
            };
            repository.upsert_node(&known.name, node);
        }
        self.believed = believed;
    }

    fn services(&mut self, repository: &mut Repository, watched: &Watched) {
        let changed = self.services.follow(&watched.services);
        for (namespace, name) in &changed.gone {
            repository.remove_service(&service_name(namespace, name));
        }
        let mut asked = self.behind.follow(self.slices.follow(&watched.slices));
        asked.extend(changed.put.into_iter().map(|(key, _)| key));
        for key in asked {
            // Slices may be there before their Service, and after it.
            let Some(object) = self.services.get(&key) else {
                continue;
            };
            let spec = object.spec.as_ref();
            let selector = spec.and_then(|spec| spec.selector.as_ref());
            let service = Balanced {
                labels: object.metadata.labels.clone().unwrap_or_default(),
                backends: addresses_in(self.behind.of(&key)),
                has_selector: selector.is_some_and(|selector| !selector.is_empty()),
            };
            repository.upsert_service(service_name(&key.0, &key.1), service);
        }
    }

    fn policies(&mut self, repository: &mut Repository, watched: &Watched, ending: &Ending) {
        let changed = self
            .network_policies
            .look(&watched.network_policies.entries(), |key| ending.holds(key));
        let kind = PolicyKind::NetworkPolicy;
        self.changes
            .follow(repository, kind, changed, Repository::upsert_network_policy);
        let changed = self
            .policies
            .look(&watched.policies.entries(), |key| ending.holds(key));
        let kind = PolicyKind::CiliumNetworkPolicy;
        self.changes
            .follow(repository, kind, changed, Repository::upsert_cilium_policy);
        let changed = self
            .clusterwide
            .look(&watched.clusterwide_policies.entries(), |_| false);
        let kind = PolicyKind::CiliumClusterwideNetworkPolicy;
        self.changes.follow(
            repository,
            kind,
            changed,
            Repository::upsert_clusterwide_policy,
        );
    }

    fn groups(&mut self, repository: &mut Repository, watched: &Watched) {
        let changed = self.groups.follow(&watched.cidr_groups);
        for ((_, name), object) in &changed.put {
            if let Some(refusal) = repository.upsert_cidr_group(object) {
                tracing::warn!(group = name, "CiliumCIDRGroup counts as unknown: {refusal}");
            }
        }
        for (_, name) in &changed.gone {
            repository.remove_cidr_group(name);
        }
    }
}

/// Namespaces on their way out that still have pods here. Their policies are deleted before their pods have ended
/// (CVE-2024-7598), and must hold until then.
struct Ending<'a>(BTreeSet<&'a str>);

impl<'a> Ending<'a> {
    fn new(watched: &Watched, local: &'a [Endpoint]) -> Self {
        Self(
            namespaces(local)
                .into_iter()
                .filter(|name| {
                    watched
                        .namespaces
                        .get("", name)
                        .is_none_or(|namespace| is_ending(&namespace))
                })
                .collect(),
        )
    }

    fn holds(&self, (namespace, _): &Key) -> bool {
        self.0.contains(namespace.as_str())
    }
}

/// The namespaces of pods of this node.
fn namespaces(local: &[Endpoint]) -> BTreeSet<&str> {
    let pods = local.iter().filter_map(|endpoint| endpoint.pod.as_ref());
    pods.map(|pod| pod.namespace.as_str()).collect()
}

fn is_ending(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

/// The parts of a policy that are not followed; the policy's condition says them, too. Whether it is followed in full.
fn tell((policy, refusals): (PolicyId, Vec<Refusal>)) -> bool {
    for refusal in &refusals {
        tracing::warn!(%policy, "Part of a policy is not followed: {refusal}");
    }
    refusals.is_empty()
}

fn service_name(namespace: &str, name: &str) -> ServiceName {
    ServiceName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
