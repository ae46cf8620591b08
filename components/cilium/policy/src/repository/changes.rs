//! What goes in at the start and comes out at each commit.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;

use crate::{
    input::{PolicyId, SubjectId},
    key::{Entry, Key, MapState},
};

/// What the agent decides at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether an API server runs on this node: then entity `kube-apiserver` is this host, too.
    pub host_runs_apiserver: bool,
    /// Most entries a map holds.
    pub max_entries: usize,
    /// Most prefixes the kernel's table of them holds.
    pub max_prefixes: usize,
    /// Numbers of prefixes as they were handed out before; a prefix that comes back gets the number it had.
    pub numbers: BTreeMap<Ipv4Net, u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host_runs_apiserver: false,
            max_entries: 16_384,
            // The table has 65,536; what is left is for the second names of nodes.
            max_prefixes: 60_000,
            numbers: BTreeMap::new(),
        }
    }
}

/// What a [`crate::Repository::commit`] changed.
///
/// The kernel's table of prefixes and its maps change one after the other. So that no packet meets a map that does not know
/// the number of its prefix: first the upserts whose [`Key::block`] is an added prefix's number, which nobody asks for yet;
/// then the added prefixes; then all other upserts and removes; then the removed prefixes leave; last go the removes whose
/// block is the number of one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Per subject whose map or enforcement changed, or fits again. A subject that was removed is not here.
    pub subjects: BTreeMap<SubjectId, SubjectChanges>,
    /// Prefixes that came into use, with their numbers.
    pub prefixes_added: BTreeMap<Ipv4Net, u32>,
    /// Prefixes that are no longer in use.
    pub prefixes_removed: BTreeMap<Ipv4Net, u32>,
    /// Subjects whose new map would not fit; their old one stays.
    pub refused: BTreeMap<SubjectId, Refused>,
}

impl Changes {
    /// Whether any address is among those of another prefix than before.
    pub(crate) fn moves_prefixes(&self) -> bool {
        !self.prefixes_added.is_empty() || !self.prefixes_removed.is_empty()
    }
}

/// What changed for one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectChanges {
    /// Entries that are new or different.
    pub upserts: BTreeMap<Key, Entry>,
    /// Keys to be removed.
    pub removes: BTreeSet<Key>,
    /// Whether policy isolates it towards itself.
    pub ingress_enforced: bool,
    /// Whether policy isolates it from itself on.
    pub egress_enforced: bool,
}

impl SubjectChanges {
    /// Whether no entry changed; enforcement may have.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removes.is_empty()
    }

    /// From one map to another.
    pub(crate) fn between(old: &MapState, new: &MapState, enforced: [bool; 2]) -> Self {
        let differs = |(key, entry): &(&Key, &Entry)| old.get(key) != Some(*entry);
        let upserts = new.iter().filter(differs).map(|(k, e)| (*k, *e)).collect();
        let removes = old
            .keys()
            .filter(|k| !new.contains_key(k))
            .copied()
            .collect();
        Self {
            upserts,
            removes,
            ingress_enforced: enforced[0],
            egress_enforced: enforced[1],
        }
    }
}

/// A table of the kernel that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The policy map of an endpoint.
    Policy,
    /// The prefixes of all policies.
    Prefixes,
}

/// A policy map that cannot be as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What has no room.
    pub table: Table,
    /// Entries the policy map would have.
    pub entries: usize,
    /// Most entries the table holds.
    pub max_entries: usize,
    /// The policy that is at fault: that contributes most entries, or names prefixes there is no room for.
    pub policy: Option<PolicyId>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            table,
            entries,
            max_entries,
            policy,
        } = self;
        match table {
            Table::Policy => write!(
                f,
                "{entries} entries do not fit into a policy map of {max_entries}; the old ones stay"
            )?,
            Table::Prefixes => write!(
                f,
                "all policies together name more than {max_entries} prefixes; the old entries stay"
            )?,
        }
        let Some(policy) = policy else {
            return Ok(());
        };
        match table {
            Table::Policy => write!(
                f,
                "; most come from {policy}: choose fewer peers or ports there"
            ),
            Table::Prefixes => write!(f, "; {policy} waits for room: choose wider networks"),
        }
    }
}
