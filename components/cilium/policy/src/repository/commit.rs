//! From what changed to what the kernel has to be told.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::NumericIdentity;

use super::{
    Changes, Refused, Repository, SubjectChanges, Table,
    profile::{Dirty, Profile},
};
use crate::{
    cookies::Cookies,
    input::Subject,
    key::{Direction, Entry, Key, MapState},
    peer_cache::News,
    resolve::{ActiveRule, Resolved, View},
};

impl Repository {
    /// Makes the maps follow everything told since the last commit.
    pub fn commit(&mut self) -> Changes {
        let mut changes = Changes::default();
        if !std::mem::take(&mut self.changed) {
            return changes;
        }
        self.revision += std::mem::take(&mut self.told);
        let looked_up = self
            .cache
            .look_up(&self.cluster, &mut self.blocks, self.max_prefixes);
        let settled = self.blocks.settle();
        changes.prefixes_added = settled.added;
        changes.prefixes_removed = settled.removed;
        let moved = changes.moves_prefixes();
        if moved || !looked_up.is_empty() {
            self.cache.choose(&looked_up, moved, &self.blocks);
        }
        // What leaves now makes room for whoever waits.
        self.changed = self.cache.is_any_crowded() && !changes.prefixes_removed.is_empty();
        let news = self.cache.take_news();
        let mut profiles = std::mem::take(&mut self.profiles);
        profiles.retain(|_, profile| !profile.subjects.is_empty());
        for (subject, profile) in &mut profiles {
            self.follow(subject, profile, &news, &mut changes);
        }
        self.profiles = profiles;
        self.report_moved(&mut changes);
        self.forget_cookies();
        changes
    }

    fn follow(
        &mut self,
        subject: &Subject,
        profile: &mut Profile,
        news: &News,
        changes: &mut Changes,
    ) {
        self.collect_dirty(profile, news);
        let was_outdated = profile.outdated;
        let dirty = match std::mem::take(&mut profile.dirty) {
            // It is asked for the numbers of other prefixes than those it was made for.
            _ if was_outdated && changes.moves_prefixes() => Dirty::Everything,
            Dirty::Nothing => return,
            Dirty::Peers(_) if was_outdated => Dirty::Everything,
            dirty => dirty,
        };
        if dirty == Dirty::Everything {
            profile.rules = self.rules_for(subject);
        }
        let rules: Vec<_> = profile
            .rules
            .iter()
            .filter_map(|(id, i)| self.policies.get(id)?.rules.get(*i))
            .collect();
        let unknown = self.cluster.labels(subject.identity).is_none();
        let view = View {
            cluster: &self.cluster,
            cache: &self.cache,
            rules: &rules,
            own_ports: &subject.named_ports,
            always: unknown || subject.identity == NumericIdentity::INIT.0,
            faults: self.host.faults,
        };
        let change = change(profile, &view, &dirty, &mut self.cookies);
        let enforced = Direction::BOTH.map(|d| view.enforced(d));
        let added = change
            .upserts
            .keys()
            .filter(|k| !profile.state.contains_key(k))
            .count();
        let entries = profile.state.len() + added - change.removes.len();
        let crowded = rules
            .iter()
            .find(|rule| rule.peers().any(|id| self.cache.is_crowded(id)));
        let full = if let Some(rule) = crowded {
            Some((Table::Prefixes, Some(rule.origin)))
        } else {
            (entries > self.max_entries).then(|| (Table::Policy, view.greatest()))
        };
        profile.outdated = full.is_some();
        let Some((table, origin)) = full else {
            profile.turn_into(change, enforced, was_outdated, changes);
            return;
        };
        let max_entries = match table {
            Table::Policy => self.max_entries,
            Table::Prefixes => self.max_prefixes,
        };
        let policy = origin.and_then(|origin| self.cookies.policy(origin));
        let refused = Refused {
            table,
            entries,
            max_entries,
            policy: policy.map(|p| p.id.clone()),
        };
        profile.stay(refused, self.blocks.numbers(), changes);
    }

    fn collect_dirty(&self, profile: &mut Profile, news: &News) {
        if news.touched.is_empty() && news.turned.is_empty() || profile.dirty == Dirty::Everything {
            return;
        }
        let mut peers = BTreeSet::new();
        let rules = profile.rules.iter();
        for id in rules
            .filter_map(|(id, i)| self.policies.get(id)?.rules.get(*i))
            .flat_map(ActiveRule::peers)
        {
            if news.turned.contains(&id) {
                profile.dirty = Dirty::Everything;
                return;
            }
            peers.extend(news.touched.get(&id).into_iter().flatten());
        }
        profile.dirty.add(peers);
    }

    fn rules_for(&self, subject: &Subject) -> Vec<(crate::PolicyId, usize)> {
        let Some(labels) = self.cluster.labels(subject.identity) else {
            return Vec::new();
        };
        let selected = self.policies.iter().flat_map(|(id, held)| {
            let rules = held
                .rules
                .iter()
                .enumerate()
                .filter(|(_, r)| r.subject.matches(labels));
            rules.map(|(i, _)| (id.clone(), i))
        });
        selected.collect()
    }

    /// A subject with another profile than before goes from what its map holds to that one's entries.
    fn report_moved(&mut self, changes: &mut Changes) {
        for (id, holds) in std::mem::take(&mut self.moved) {
            let profile = self.subjects.get(&id).and_then(|s| self.profiles.get(s));
            if let Some(profile) = profile {
                changes.subjects.insert(
                    id,
                    SubjectChanges::between(&holds, &profile.state, profile.enforced),
                );
            }
        }
    }

    fn forget_cookies(&mut self) {
        if self.cookies.crowded() {
            let entries = self.profiles.values().flat_map(|p| p.state.values());
            let cookies = entries.map(|e| e.cookie).collect();
            let origins = self
                .policies
                .values()
                .flat_map(|h| h.rules.iter().map(|r| r.origin))
                .collect();
            self.cookies.keep(&cookies, origins);
        }
    }
}

impl Profile {
    /// After an outdated map its subjects hear of this one even when it is the same: that it fits is news.
    pub(super) fn turn_into(
        &mut self,
        mut change: SubjectChanges,
        enforced: [bool; 2],
        was_outdated: bool,
        changes: &mut Changes,
    ) {
        let same = self.resolved && !was_outdated && self.enforced == enforced && change.is_empty();
        self.resolved = true;
        self.enforced = enforced;
        [change.ingress_enforced, change.egress_enforced] = enforced;
        self.state.retain(|key, _| !change.removes.contains(key));
        self.state.extend(&change.upserts);
        if !same {
            changes
                .subjects
                .extend(self.subjects.iter().map(|s| (*s, change.clone())));
        }
    }
}

fn change(
    profile: &Profile,
    view: &View<'_>,
    dirty: &Dirty,
    cookies: &mut Cookies,
) -> SubjectChanges {
    match dirty {
        Dirty::Peers(peers) => of_peers(&profile.state, peers, numbered(view.of(peers), cookies)),
        Dirty::Nothing | Dirty::Everything => {
            let state = numbered(view.everything(), cookies);
            SubjectChanges::between(&profile.state, &state, profile.enforced)
        }
    }
}

fn numbered(resolved: Vec<Resolved>, cookies: &mut Cookies) -> MapState {
    let entry = |(key, verdict, origins): Resolved| {
        let cookie = cookies.cookie(&origins);
        (key, Entry { verdict, cookie })
    };
    resolved.into_iter().map(entry).collect()
}

/// What changes when the entries of some peers become `new`.
fn of_peers(state: &MapState, peers: &BTreeSet<u32>, new: MapState) -> SubjectChanges {
    let mut removes = BTreeSet::new();
    for peer in peers {
        removes.extend(
            entries_of(state, *peer)
                .map(|(key, _)| *key)
                .filter(|key| !new.contains_key(key)),
        );
    }
    let upserts: BTreeMap<Key, Entry> = new
        .into_iter()
        .filter(|(key, entry)| state.get(key) != Some(entry))
        .collect();
    SubjectChanges {
        upserts,
        removes,
        ..SubjectChanges::default()
    }
}

pub(super) fn entries_of(state: &MapState, peer: u32) -> impl Iterator<Item = (&Key, &Entry)> {
    state.range(first(peer)..=last(peer))
}

pub(super) fn first(identity: u32) -> Key {
    Key {
        identity,
        direction: Direction::Ingress,
        protocol: 0,
        port: 0,
        port_bits: 0,
    }
}

fn last(identity: u32) -> Key {
    Key {
        identity,
        direction: Direction::Egress,
        protocol: u8::MAX,
        port: u16::MAX,
        port_bits: u8::MAX,
    }
}
