//! What the repository is told. Everything takes effect at the next commit.

use std::collections::BTreeMap;

use cilium_api::{
    CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, LabelSet,
    policy::{Refusal, read_cidr_group},
};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{
    Held, Repository,
    profile::{Dirty, Profile},
};
use crate::{
    cluster::Group,
    compile,
    input::{NamedPorts, Node, PolicyId, Service, ServiceName, Subject, SubjectId},
    key::{ANYONE, MapState},
    peer_cache::Source,
    resolve::{ActiveGrant, ActiveRule},
    rule::{Addresses, Grant, Peers, Policy, Rule},
};

impl Repository {
    /// Adds or replaces a NetworkPolicy; answers which it is, and what of it is not followed.
    pub fn upsert_network_policy(&mut self, policy: &NetworkPolicy) -> (PolicyId, Vec<Refusal>) {
        self.upsert(compile::network_policy(policy, self.host))
    }

    /// Adds or replaces a CiliumNetworkPolicy.
    pub fn upsert_cilium_policy(
        &mut self,
        policy: &CiliumNetworkPolicy,
    ) -> (PolicyId, Vec<Refusal>) {
        self.upsert(compile::cilium_policy(policy, self.host))
    }

    /// Adds or replaces a CiliumClusterwideNetworkPolicy.
    pub fn upsert_clusterwide_policy(
        &mut self,
        policy: &CiliumClusterwideNetworkPolicy,
    ) -> (PolicyId, Vec<Refusal>) {
        self.upsert(compile::clusterwide_policy(policy, self.host))
    }

    /// Removes a policy.
    pub fn remove_policy(&mut self, id: &PolicyId) {
        if let Some(held) = self.policies.remove(id) {
            self.retire(held);
            self.count();
        }
    }

    fn upsert(&mut self, policy: Policy) -> (PolicyId, Vec<Refusal>) {
        let id = policy.id.clone();
        if self
            .policies
            .get(&id)
            .is_none_or(|held| held.policy != policy)
        {
            let rules: Vec<_> = policy
                .rules
                .iter()
                .map(|rule| self.activate(rule))
                .collect();
            self.mark(&rules);
            if let Some(old) = self.policies.insert(id.clone(), Held { policy, rules }) {
                self.retire(old);
            }
            self.count();
        }
        let refusals = self.refusals(&id);
        (id, refusals)
    }

    fn activate(&mut self, rule: &Rule) -> ActiveRule {
        let mut grant = |grant: &Grant| ActiveGrant {
            direction: grant.direction,
            verdict: grant.verdict,
            peers: grant
                .peers
                .iter()
                .map(|p| self.cache.acquire(p, &self.cluster))
                .collect(),
            ports: grant.ports.clone(),
        };
        ActiveRule {
            grants: rule.grants.iter().map(&mut grant).collect(),
            subject: rule.subject.clone(),
            origin: self.cookies.origin(&rule.origin),
            isolates: rule.isolates.clone(),
        }
    }

    fn retire(&mut self, held: Held) {
        self.mark(&held.rules);
        for id in held
            .rules
            .iter()
            .flat_map(|r| &r.grants)
            .flat_map(|g| &g.peers)
        {
            self.cache.release(*id, &mut self.blocks);
        }
    }

    fn count(&mut self) {
        self.told += 1;
        self.changed = true;
    }

    /// Every subject one of the rules selects has to be resolved anew.
    fn mark(&mut self, rules: &[ActiveRule]) {
        for (subject, profile) in &mut self.profiles {
            let labels = self.cluster.labels(subject.identity);
            if labels.is_some_and(|labels| rules.iter().any(|r| r.subject.matches(labels))) {
                profile.dirty = Dirty::Everything;
            }
        }
    }

    /// Adds or replaces a CIDR group. One that cannot be read in full counts as unknown, and the reason is returned.
    pub fn upsert_cidr_group(&mut self, group: &CiliumCIDRGroup) -> Option<Refusal> {
        let name = group.metadata.name.clone().unwrap_or_default();
        match read_cidr_group(group.spec.as_ref()) {
            Ok(networks) => {
                let labels = group.metadata.labels.clone().unwrap_or_default();
                let networks = networks.into_iter().collect();
                self.group_refusals.remove(&name);
                self.set_group(&name, Some(Group { labels, networks }));
                None
            }
            Err(refusal) => {
                self.set_group(&name, None);
                self.group_refusals.insert(name, refusal.clone());
                Some(refusal)
            }
        }
    }

    /// Removes a CIDR group.
    pub fn remove_cidr_group(&mut self, name: &str) {
        self.group_refusals.remove(name);
        self.set_group(name, None);
    }

    fn set_group(&mut self, name: &str, group: Option<Group>) {
        if replace(&mut self.cluster.groups, name.to_owned(), group) {
            self.count();
        }
        self.cache.changed(Source::Groups);
    }

    /// Adds or replaces an identity of pods.
    pub fn upsert_identity(&mut self, number: u32, labels: LabelSet) {
        self.set_identity(number, Some(labels));
    }

    /// Removes an identity of pods.
    pub fn remove_identity(&mut self, number: u32) {
        self.set_identity(number, None);
    }

    fn set_identity(&mut self, number: u32, labels: Option<LabelSet>) {
        // Reserved identities are what they are; 0 is everyone in a map.
        if u8::try_from(number).is_ok() || self.cluster.labels(number) == labels.as_ref() {
            return;
        }
        let old = self.cluster.set_labels(number, labels.clone());
        self.cache.relabel(number, old.as_ref(), labels.as_ref());
        for (subject, profile) in &mut self.profiles {
            if subject.identity == number {
                profile.dirty = Dirty::Everything;
            }
        }
        self.changed = true;
    }

    /// Named ports of the pods that have an identity, all of them.
    pub fn set_named_ports(&mut self, identity: u32, ports: NamedPorts) {
        if identity != ANYONE && self.cluster.set_named_ports(identity, ports) {
            self.profiles
                .values_mut()
                .for_each(|p| p.dirty.add([identity]));
            self.changed = true;
        }
    }

    /// Adds or replaces a node.
    pub fn upsert_node(&mut self, name: &str, node: Node) {
        self.set_node(name, Some(node));
    }

    /// Removes a node.
    pub fn remove_node(&mut self, name: &str) {
        self.set_node(name, None);
    }

    fn set_node(&mut self, name: &str, node: Option<Node>) {
        if replace(&mut self.cluster.nodes, name.to_owned(), node) {
            self.cache.changed(Source::Nodes);
            self.changed = true;
        }
    }

    /// Adds or replaces a Service.
    pub fn upsert_service(&mut self, name: ServiceName, service: Service) {
        self.set_service(name, Some(service));
    }

    /// Removes a Service.
    pub fn remove_service(&mut self, name: &ServiceName) {
        self.set_service(name.clone(), None);
    }

    fn set_service(&mut self, name: ServiceName, service: Option<Service>) {
        if replace(&mut self.cluster.services, name, service) {
            self.cache.changed(Source::Services);
            self.changed = true;
        }
    }

    /// Adds or replaces an endpoint of this node.
    pub fn upsert_subject(&mut self, id: SubjectId, subject: Subject) {
        if self.subjects.get(&id) == Some(&subject) {
            return;
        }
        let holds = self.leave(id).unwrap_or_default();
        self.moved.entry(id).or_insert(holds);
        self.subjects.insert(id, subject.clone());
        let profile = self.profiles.entry(subject).or_insert_with(|| Profile {
            dirty: Dirty::Everything,
            ..Profile::default()
        });
        profile.subjects.insert(id);
        self.changed = true;
    }

    /// Removes an endpoint of this node, and with it its map: the next commit does not speak of it.
    pub fn remove_subject(&mut self, id: SubjectId) {
        self.changed |= self.leave(id).is_some();
        self.moved.remove(&id);
    }

    /// Takes a subject out of its profile; returns what its map holds.
    fn leave(&mut self, id: SubjectId) -> Option<MapState> {
        let subject = self.subjects.remove(&id)?;
        let profile = self.profiles.get_mut(&subject)?;
        profile.subjects.remove(&id);
        Some(profile.state.clone())
    }

    /// References of a policy to what is not there. They choose nobody.
    pub(super) fn unresolved(&self, policy: &Policy) -> Vec<Refusal> {
        let grants = policy.rules.iter().flat_map(|rule| &rule.grants);
        let mut refusals: Vec<_> = grants
            .flat_map(|grant| &grant.peers)
            .filter_map(|peers| match peers {
                Peers::Addresses(Addresses::Group { name, .. }) if !self.cluster.groups.contains_key(name) => {
                    Some(Refusal::new(
                        "cidrGroupRef",
                        format!("there is no readable CiliumCIDRGroup {name:?}, so it stands for nobody; create it"),
                    ))
                }
                Peers::Addresses(Addresses::Service(name)) if !self.cluster.services.contains_key(name) => {
                    Some(Refusal::new(
                        "k8sService",
                        format!("there is no Service {}/{}, so it stands for nobody; create it", name.namespace, name.name),
                    ))
                }
                _ => None,
            })
            .collect();
        refusals.sort();
        refusals.dedup();
        refusals
    }
}

/// Sets or removes; whether that changed anything.
fn replace<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> bool {
    if map.get(&key) == value.as_ref() {
        return false;
    }
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
    true
}
