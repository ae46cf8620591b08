//! The map that subjects with equal identity and named ports share.

use std::collections::BTreeSet;

use crate::{
    input::{PolicyId, SubjectId},
    key::MapState,
};

#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(super) subjects: BTreeSet<SubjectId>,
    /// Rules that select it: the policy and the rule's place in it.
    pub(super) rules: Vec<(PolicyId, usize)>,
    pub(super) state: MapState,
    pub(super) enforced: [bool; 2],
    pub(super) dirty: Dirty,
    /// Whether `state` has been resolved at all.
    pub(super) resolved: bool,
    /// Whether `state` is an old one because the new one did not fit.
    pub(super) outdated: bool,
}

/// What has to be resolved anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dirty {
    #[default]
    Nothing,
    Peers(BTreeSet<u32>),
    Everything,
}

impl Dirty {
    pub(super) fn add(&mut self, peers: impl IntoIterator<Item = u32>) {
        match self {
            Self::Everything => {}
            Self::Peers(set) => set.extend(peers),
            Self::Nothing => {
                let set: BTreeSet<u32> = peers.into_iter().collect();
                if !set.is_empty() {
                    *self = Self::Peers(set);
                }
            }
        }
    }
}
