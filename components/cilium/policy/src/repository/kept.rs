//! A map that stays because the new one does not fit.

use std::collections::BTreeMap;

use cilium_api::NumericIdentity;
use ipnet::Ipv4Net;

use super::{
    Changes, Refused, SubjectChanges,
    commit::{entries_of, first},
    profile::Profile,
};
use crate::key::{
    ANYONE, Cookie, Direction, Entry, Key, MapState, Verdict, cluster_block, world_block,
};

impl Profile {
    /// The old map stays; or none passes anything, if it would not hold back what it should. `prefixes` are those of now.
    pub(super) fn stay(
        &mut self,
        refused: Refused,
        prefixes: &BTreeMap<Ipv4Net, u32>,
        changes: &mut Changes,
    ) {
        changes
            .refused
            .extend(self.subjects.iter().map(|s| (*s, refused.clone())));
        if !self.resolved || is_exposed(&self.state, prefixes, changes) {
            let isolated = SubjectChanges::between(&self.state, &closed(), [true, true]);
            self.turn_into(isolated, [true, true], false, changes);
        }
    }
}

/// Whether addresses that another prefix speaks for now would slip past a map.
fn is_exposed(state: &MapState, prefixes: &BTreeMap<Ipv4Net, u32>, changes: &Changes) -> bool {
    // A new prefix takes its addresses out of a wider one that an old map denies; that map no longer holds them back.
    let taken = !changes.prefixes_added.is_empty()
        && state
            .iter()
            .any(|(key, entry)| key.block().is_some() && entry.verdict == Verdict::Deny);
    taken
        || changes
            .prefixes_removed
            .iter()
            .any(|(prefix, number)| says_less(state, wider(*prefix, prefixes), *number))
}

/// The prefix whose addresses those of one that left are now among.
fn wider(left: Ipv4Net, prefixes: &BTreeMap<Ipv4Net, u32>) -> Option<u32> {
    std::iter::successors(Some(left), Ipv4Net::supernet)
        .find_map(|prefix| prefixes.get(&prefix).copied())
}

/// Whether block `now`, or none, lets through anything that block `before` does not.
fn says_less(state: &MapState, now: Option<u32>, before: u32) -> bool {
    [world_block, cluster_block].into_iter().any(|identity| {
        let now = now.map(identity);
        let says = |of: Option<u32>, key: &Key, verdict| {
            let entry = of.and_then(|identity| state.get(&Key { identity, ..*key }));
            entry.is_some_and(|entry| entry.verdict == verdict)
        };
        let denied = entries_of(state, identity(before))
            .filter(|(_, entry)| entry.verdict == Verdict::Deny)
            .any(|(key, _)| !says(now, key, Verdict::Deny));
        let allowed = now
            .into_iter()
            .flat_map(|now| entries_of(state, now))
            .filter(|(_, entry)| entry.verdict == Verdict::Allow)
            .any(|(key, _)| !says(Some(identity(before)), key, Verdict::Allow));
        denied || allowed
    })
}

/// The map of a subject whose first one does not fit: nothing passes but its own node's probes.
fn closed() -> MapState {
    let denied = |direction| {
        (
            Key {
                direction,
                ..first(ANYONE)
            },
            entry(Verdict::DefaultDeny),
        )
    };
    let mut state: MapState = Direction::BOTH.map(denied).into();
    state.insert(first(NumericIdentity::HOST.0), entry(Verdict::Allow));
    state
}

fn entry(verdict: Verdict) -> Entry {
    Entry {
        verdict,
        cookie: Cookie::default(),
    }
}
