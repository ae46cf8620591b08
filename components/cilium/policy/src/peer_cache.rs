//! What each distinct choice of peers comes to, evaluated once and kept up to date.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::LabelSet;

use crate::{
    blocks::Blocks,
    cluster::{Cluster, Cover},
    key::{cluster_block, world_block},
    rule::{Addresses, Peers, Reach},
    selector::{LabelSelector, Scope},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeersId(u32);

/// Peers that came or went, by choice.
pub(crate) type Touched = BTreeMap<PeersId, BTreeSet<u32>>;

#[derive(Debug, Default)]
pub(crate) struct PeerCache {
    ids: BTreeMap<Peers, PeersId>,
    cached: BTreeMap<PeersId, Cached>,
    /// Choices by label, by the namespace they are confined to.
    by_namespace: BTreeMap<Option<String>, BTreeSet<PeersId>>,
    last: u32,
    touched: Touched,
    /// Choices of addresses whose networks have to be looked up anew.
    stale: BTreeSet<PeersId>,
    /// Choices of addresses that are as they were, because the kernel has no room for the prefixes of what they are now.
    crowded: BTreeSet<PeersId>,
    /// Choices that have become crowded, or are so no more.
    turned: BTreeSet<PeersId>,
}

/// What happened to choices since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) touched: Touched,
    /// Whoever uses one of these is to be resolved as a whole.
    pub(crate) turned: BTreeSet<PeersId>,
}

#[derive(Debug)]
struct Cached {
    peers: Peers,
    users: usize,
    numbers: BTreeSet<u32>,
    cover: Cover,
}

/// What made choices of addresses stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Groups,
    Nodes,
    Services,
}

impl PeerCache {
    pub(crate) fn numbers(&self, id: PeersId) -> impl Iterator<Item = u32> + '_ {
        self.cached
            .get(&id)
            .into_iter()
            .flat_map(|c| c.numbers.iter().copied())
    }

    pub(crate) fn contains(&self, id: PeersId, number: u32) -> bool {
        self.cached
            .get(&id)
            .is_some_and(|c| c.numbers.contains(&number))
    }

    /// As [`Self::numbers`], by the choice itself.
    pub(crate) fn chosen(&self, peers: &Peers) -> impl Iterator<Item = u32> + '_ {
        self.ids
            .get(peers)
            .into_iter()
            .flat_map(|id| self.numbers(*id))
    }

    pub(crate) fn len(&self) -> usize {
        self.cached.len()
    }

    pub(crate) fn acquire(&mut self, peers: &Peers, cluster: &Cluster) -> PeersId {
        if let Some(id) = self.ids.get(peers) {
            if let Some(cached) = self.cached.get_mut(id) {
                cached.users += 1;
            }
            return *id;
        }
        self.last += 1;
        let id = PeersId(self.last);
        let numbers = match peers {
            Peers::Fixed(numbers) => numbers.clone(),
            Peers::Labels(selector) => {
                self.by_namespace
                    .entry(confined(selector))
                    .or_default()
                    .insert(id);
                cluster.chosen(selector)
            }
            Peers::Addresses(_) => {
                self.stale.insert(id);
                BTreeSet::new()
            }
        };
        self.ids.insert(peers.clone(), id);
        let cached = Cached {
            peers: peers.clone(),
            users: 1,
            numbers,
            cover: Cover::default(),
        };
        self.cached.insert(id, cached);
        id
    }

    pub(crate) fn release(&mut self, id: PeersId, blocks: &mut Blocks) {
        let Some(cached) = self.cached.get_mut(&id) else {
            return;
        };
        cached.users -= 1;
        if cached.users > 0 {
            return;
        }
        if let Some(cached) = self.cached.remove(&id) {
            cached.cover.prefixes().for_each(|p| blocks.release(p));
            self.ids.remove(&cached.peers);
            self.stale.remove(&id);
            self.crowded.remove(&id);
            self.touched.remove(&id);
            if let Peers::Labels(selector) = &cached.peers {
                let namespace = confined(selector);
                if let Some(there) = self.by_namespace.get_mut(&namespace) {
                    there.remove(&id);
                    if there.is_empty() {
                        self.by_namespace.remove(&namespace);
                    }
                }
            }
        }
    }

    /// An identity has other labels than before, or is new or gone.
    pub(crate) fn relabel(&mut self, number: u32, old: Option<&LabelSet>, new: Option<&LabelSet>) {
        let mut keys: BTreeSet<Option<String>> = [None].into();
        for labels in [old, new].into_iter().flatten() {
            keys.extend(labels.namespace().map(|n| Some(n.to_owned())));
        }
        for id in keys
            .iter()
            .filter_map(|key| self.by_namespace.get(key))
            .flatten()
        {
            let Some(cached) = self.cached.get_mut(id) else {
                continue;
            };
            let Peers::Labels(selector) = &cached.peers else {
                continue;
            };
            let chosen = new.is_some_and(|labels| selector.matches(labels));
            let changed = if chosen {
                cached.numbers.insert(number)
            } else {
                cached.numbers.remove(&number)
            };
            if changed {
                self.touched.entry(*id).or_default().insert(number);
            }
        }
    }

    /// Marks the choices of addresses that depend on `source`.
    pub(crate) fn changed(&mut self, source: Source) {
        let stale = self.cached.iter().filter(|(_, cached)| {
            let Peers::Addresses(addresses) = &cached.peers else {
                return false;
            };
            match addresses {
                Addresses::Network { .. } => false,
                Addresses::Group { .. } | Addresses::Groups { .. } => source == Source::Groups,
                Addresses::Nodes(_) => source == Source::Nodes,
                Addresses::Service(_) | Addresses::Services { .. } => source == Source::Services,
            }
        });
        self.stale.extend(stale.map(|(id, _)| *id));
    }

    /// Looks networks up where they are stale, so that their prefixes are asked for. The kernel holds at most `room` prefixes.
    pub(crate) fn look_up(
        &mut self,
        cluster: &Cluster,
        blocks: &mut Blocks,
        room: usize,
    ) -> BTreeSet<PeersId> {
        let mut stale = std::mem::take(&mut self.stale);
        let before = std::mem::take(&mut self.crowded);
        stale.extend(&before);
        let mut peak = if stale.is_empty() { 0 } else { blocks.peak() };
        for id in &stale {
            let Some(cached) = self.cached.get_mut(id) else {
                continue;
            };
            if let Peers::Addresses(addresses) = &cached.peers {
                let cover = cluster.cover(addresses);
                let new: BTreeSet<_> = cover.prefixes().filter(|p| !blocks.holds(*p)).collect();
                if !new.is_empty() && peak + new.len() > room {
                    self.crowded.insert(*id);
                    continue;
                }
                peak += new.len();
                cover.prefixes().for_each(|p| blocks.acquire(p));
                cached.cover.prefixes().for_each(|p| blocks.release(p));
                cached.cover = cover;
            }
        }
        self.turned
            .extend(before.symmetric_difference(&self.crowded));
        stale
    }

    pub(crate) fn is_crowded(&self, id: PeersId) -> bool {
        self.crowded.contains(&id)
    }

    /// Whether a choice waits for room.
    pub(crate) fn is_any_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// Chooses among the prefixes anew: everywhere when some came or went, else where networks changed.
    pub(crate) fn choose(&mut self, which: &BTreeSet<PeersId>, all: bool, blocks: &Blocks) {
        for (id, cached) in &mut self.cached {
            if !matches!(cached.peers, Peers::Addresses(_)) || !(all || which.contains(id)) {
                continue;
            }
            let numbers = cached.cover.numbers(blocks);
            let changed: BTreeSet<u32> = numbers
                .symmetric_difference(&cached.numbers)
                .copied()
                .collect();
            if !changed.is_empty() {
                self.touched.entry(*id).or_default().extend(changed);
                cached.numbers = numbers;
            }
        }
    }

    pub(crate) fn take_news(&mut self) -> News {
        News {
            touched: std::mem::take(&mut self.touched),
            turned: std::mem::take(&mut self.turned),
        }
    }
}

fn confined(selector: &LabelSelector) -> Option<String> {
    match &selector.scope {
        Scope::Namespace(name) => Some(name.clone()),
        Scope::Pods | Scope::Everything => None,
    }
}

impl Cover {
    fn numbers(&self, blocks: &Blocks) -> BTreeSet<u32> {
        let mut numbers = BTreeSet::new();
        for (network, except, reach) in &self.0 {
            for n in blocks.chosen(*network, except) {
                match reach {
                    Reach::World => numbers.extend([world_block(n)]),
                    Reach::Cluster => numbers.extend([cluster_block(n)]),
                    Reach::Everywhere => numbers.extend([world_block(n), cluster_block(n)]),
                }
            }
        }
        numbers
    }
}
