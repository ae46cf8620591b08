//! The policies of a cluster and what they mean for the endpoints of one node.

mod changes;
mod choices;
mod commit;
mod feed;
mod kept;
mod profile;

use std::collections::BTreeMap;

use cilium_api::policy::Refusal;
use ipnet::Ipv4Net;

pub use changes::{Changes, Options, Refused, SubjectChanges, Table};
pub use choices::Choice;

use crate::{
    blocks::Blocks,
    cluster::Cluster,
    compile::Host,
    cookies::Cookies,
    input::{PolicyId, PolicyRef, Subject, SubjectId},
    key::{Cookie, MapState},
    peer_cache::PeerCache,
    resolve::ActiveRule,
    rule::Policy,
};
use profile::Profile;

/// Takes changes of the cluster, and answers at each [`Repository::commit`] what they change in the kernel.
///
/// Work is shared: endpoints with equal identity and named ports have one map, equal choices of peers are evaluated once, and
/// a peer that comes or goes touches only its own entries.
#[derive(Debug)]
pub struct Repository {
    host: Host,
    max_entries: usize,
    max_prefixes: usize,
    revision: u64,
    cluster: Cluster,
    cache: PeerCache,
    blocks: Blocks,
    cookies: Cookies,
    policies: BTreeMap<PolicyId, Held>,
    group_refusals: BTreeMap<String, Refusal>,
    subjects: BTreeMap<SubjectId, Subject>,
    profiles: BTreeMap<Subject, Profile>,
    /// Subjects that are new or have changed, with what their map holds.
    moved: BTreeMap<SubjectId, MapState>,
    changed: bool,
    /// Policies and CIDR groups that came, changed or went since the last commit.
    told: u64,
}

#[derive(Debug)]
struct Held {
    policy: Policy,
    rules: Vec<ActiveRule>,
}

impl Repository {
    /// Empty; every subject is allowed everything until policies come, unless nothing is known of it.
    pub fn new(options: Options) -> Self {
        let host = Host {
            runs_apiserver: options.host_runs_apiserver,
            ..Host::default()
        };
        Self {
            host,
            max_entries: options.max_entries,
            max_prefixes: options.max_prefixes,
            revision: 0,
            cluster: Cluster::new(options.host_runs_apiserver),
            cache: PeerCache::default(),
            blocks: Blocks::new(options.numbers),
            cookies: Cookies::default(),
            policies: BTreeMap::new(),
            group_refusals: BTreeMap::new(),
            subjects: BTreeMap::new(),
            profiles: BTreeMap::new(),
            moved: BTreeMap::new(),
            changed: false,
            told: 0,
        }
    }

    /// One that makes a mistake on purpose.
    #[cfg(feature = "testing")]
    pub fn with_fault(options: Options, fault: crate::fault::Fault) -> Self {
        let mut repository = Self::new(options);
        repository.host.faults = crate::fault::Faults::making(fault);
        repository.cluster.faults = repository.host.faults;
        repository
    }

    /// Counts changes of policies and CIDR groups, each by itself, as of the last commit: who has applied two waits for two more.
    /// What pods and nodes do is not counted, or such a wait would end too early.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the subject's map holds since the last commit.
    pub fn state(&self, subject: SubjectId) -> Option<&MapState> {
        let profile = self.profiles.get(self.subjects.get(&subject)?)?;
        profile.resolved.then_some(&profile.state)
    }

    /// Policies that select the subject, since the last commit; one more than once if several of its rules do.
    pub fn policies_of(&self, subject: SubjectId) -> Vec<PolicyRef> {
        let profile = self
            .subjects
            .get(&subject)
            .and_then(|s| self.profiles.get(s));
        let rules = profile.into_iter().flat_map(|p| &p.rules);
        rules
            .filter_map(|(id, rule)| {
                Some(
                    self.policies
                        .get(id)?
                        .policy
                        .rules
                        .get(*rule)?
                        .origin
                        .clone(),
                )
            })
            .collect()
    }

    /// Policies behind a cookie; empty for 0 and for one that is no longer in use.
    pub fn policies_behind(&self, cookie: Cookie) -> &[PolicyRef] {
        self.cookies.policies(cookie)
    }

    /// Every policy the repository holds.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyId> {
        self.policies.keys()
    }

    /// Parts of a policy that are not followed now, also because what they refer to is not there.
    pub fn refusals(&self, policy: &PolicyId) -> Vec<Refusal> {
        let Some(held) = self.policies.get(policy) else {
            return Vec::new();
        };
        let mut refusals = held.policy.refusals.clone();
        refusals.extend(self.unresolved(&held.policy));
        refusals
    }

    /// Why a CIDR group counts as unknown.
    pub fn cidr_group_refusal(&self, name: &str) -> Option<&Refusal> {
        self.group_refusals.get(name)
    }

    /// Prefixes in use with their numbers, since the last commit.
    pub fn prefixes(&self) -> &BTreeMap<Ipv4Net, u32> {
        self.blocks.numbers()
    }

    /// How many distinct choices of peers are kept up to date.
    pub fn selectors(&self) -> usize {
        self.cache.len()
    }
}
