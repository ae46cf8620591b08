//! The policies of a cluster and what they mean for the endpoints of one node.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::LabelSet;
use ipnet::Ipv4Net;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::{
    input::{NamedPorts, Node, PolicyId, PolicyRef, Service, ServiceName, Subject, SubjectId},
    key::{Cookie, Entry, Key, MapState},
    refusal::Refusal,
};

/// What the agent decides at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether an API server runs on this node: then entity `kube-apiserver` is this host, too.
    pub host_runs_apiserver: bool,
    /// Most entries a map holds.
    pub max_entries: usize,
    /// Numbers of prefixes as they were handed out before; kept as long as they do not collide.
    pub numbers: BTreeMap<Ipv4Net, u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host_runs_apiserver: false,
            max_entries: 16_384,
            numbers: BTreeMap::new(),
        }
    }
}

/// What a [`Repository::commit`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Per subject whose map or enforcement changed. A subject that was removed is not here.
    pub subjects: BTreeMap<SubjectId, SubjectChanges>,
    /// Prefixes now in use with their numbers. To be in the kernel before the maps that name them.
    pub prefixes_added: BTreeMap<Ipv4Net, u32>,
    /// Prefixes no longer in use. To leave the kernel after the maps have changed.
    pub prefixes_removed: BTreeMap<Ipv4Net, u32>,
    /// Subjects whose new map would not fit; their old one stays.
    pub refused: BTreeMap<SubjectId, Refused>,
}

/// What changed for one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectChanges {
    /// Entries that are new or different.
    pub upserts: BTreeMap<Key, Entry>,
    /// Keys to be removed. They go after the upserts.
    pub removes: BTreeSet<Key>,
    /// Whether policy isolates it towards itself.
    pub ingress_enforced: bool,
    /// Whether policy isolates it from itself on.
    pub egress_enforced: bool,
}

/// A map that would not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Entries it would have.
    pub entries: usize,
    /// Most entries a map holds.
    pub max_entries: usize,
    /// The policy that contributes most of them.
    pub policy: PolicyId,
}

/// Takes changes of the cluster, and answers at each [`Repository::commit`] what they change in the kernel.
#[derive(Debug)]
pub struct Repository {
    options: Options,
    revision: u64,
}

#[expect(
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    reason = "signatures first; bodies follow"
)]
impl Repository {
    /// Empty; every subject is allowed everything until policies come.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            revision: 0,
        }
    }

    /// Adds or replaces a NetworkPolicy. Takes effect at the next commit, as everything here.
    pub fn upsert_network_policy(&mut self, _policy: &NetworkPolicy) {}

    /// Removes a policy.
    pub fn remove_policy(&mut self, _id: &PolicyId) {}

    /// Adds or replaces an identity of pods.
    pub fn upsert_identity(&mut self, _number: u32, _labels: LabelSet) {}

    /// Removes an identity of pods.
    pub fn remove_identity(&mut self, _number: u32) {}

    /// Named ports of the pods that have an identity, all of them.
    pub fn set_named_ports(&mut self, _identity: u32, _ports: NamedPorts) {}

    /// Adds or replaces a node.
    pub fn upsert_node(&mut self, _name: &str, _node: Node) {}

    /// Removes a node.
    pub fn remove_node(&mut self, _name: &str) {}

    /// Adds or replaces a Service.
    pub fn upsert_service(&mut self, _name: ServiceName, _service: Service) {}

    /// Removes a Service.
    pub fn remove_service(&mut self, _name: &ServiceName) {}

    /// Adds or replaces an endpoint of this node.
    pub fn upsert_subject(&mut self, _id: SubjectId, _subject: Subject) {}

    /// Removes an endpoint of this node.
    pub fn remove_subject(&mut self, _id: SubjectId) {}

    /// Makes the maps follow everything told since the last commit.
    pub fn commit(&mut self) -> Changes {
        self.revision += 1;
        Changes::default()
    }

    /// Counts commits that changed something.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the subject's map holds since the last commit.
    pub fn state(&self, _subject: SubjectId) -> Option<&MapState> {
        None
    }

    /// Policies that select the subject.
    pub fn policies_of(&self, _subject: SubjectId) -> Vec<PolicyRef> {
        Vec::new()
    }

    /// Policies behind a cookie; empty for 0 and for one that is no longer in use.
    pub fn policies_behind(&self, _cookie: Cookie) -> &[PolicyRef] {
        &[]
    }

    /// Parts of a policy that are not followed.
    pub fn refusals(&self, _policy: &PolicyId) -> Vec<Refusal> {
        Vec::new()
    }

    /// Prefixes in use with their numbers.
    pub fn prefixes(&self) -> &BTreeMap<Ipv4Net, u32> {
        &self.options.numbers
    }
}
