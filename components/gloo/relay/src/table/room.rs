//! Memory for what all senders make the receiver hold, and how much of it one of them may take.
//!
//! Half of the budget is divided equally; of the rest nobody takes more than is then still free. Nothing that is held is ever taken
//! back: who holds more than he may take now goes on with that, and gets no more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use gloo_api::ClusterName;

use super::HARD_BYTES;
use crate::key::ObjectKey;

/// Bytes of memory an object costs.
pub type Weigh = fn(&ObjectKey, &[u8]) -> usize;

/// What one sender has of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    pub held: usize,
    /// Of a snapshot or change whose end has not come.
    pub arriving: usize,
    /// What it was last refused; `None` once something of it was taken.
    pub refused: Option<Full>,
}

/// Why a cluster gets no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cluster {cluster} would take more than {} MiB of the management server's memory for clusters' objects, and may take {} MiB now; what it said before stays in force. Reduce what the cluster has, or raise spec.gloo.managementServer.resources.limits.memory",
    .wants.div_euclid(MIB),
    .may.div_euclid(MIB)
)]
pub struct Full {
    pub cluster: ClusterName,
    pub wants: usize,
    pub may: usize,
}

const MIB: usize = 1 << 20;

#[derive(Debug, Default)]
struct Uses {
    shares: usize,
    of: BTreeMap<ClusterName, Use>,
}

/// The memory there is.
#[derive(Debug)]
pub struct Room {
    budget: usize,
    weigh: Weigh,
    uses: Mutex<Uses>,
}

impl Room {
    pub fn new(budget: usize, weigh: Weigh) -> Self {
        Self {
            budget,
            weigh,
            uses: Mutex::default(),
        }
    }

    pub fn budget(&self) -> usize {
        self.budget
    }

    /// How many have a share, whether they hold anything or not.
    pub fn divide(&self, shares: usize) {
        self.with(|uses| uses.shares = shares);
    }

    /// A cluster's objects, which another replica took, are held here, too. Nobody is asked: what is held stays.
    pub fn keep<'a>(
        &self,
        cluster: &ClusterName,
        objects: impl IntoIterator<Item = (&'a ObjectKey, &'a Bytes)>,
    ) {
        let objects = objects.into_iter();
        let held = objects.map(|(key, bytes)| (self.weigh)(key, bytes)).sum();
        self.with(|uses| uses.took(cluster, held));
    }

    pub fn uses(&self) -> BTreeMap<ClusterName, Use> {
        self.with(|uses| uses.of.clone())
    }

    pub fn refused(&self, cluster: &ClusterName) -> Option<Full> {
        self.with(|uses| uses.of.get(cluster)?.refused.clone())
    }

    /// Nothing of the cluster is on its way any more.
    pub fn let_go(&self, cluster: &ClusterName) {
        self.with(|uses| uses.of(cluster).arriving = 0);
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Uses) -> T) -> T {
        use_it(&mut self.uses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a cluster may take in all, beside what the others hold and what is theirs.
    fn may(&self, uses: &Uses, cluster: &ClusterName) -> usize {
        let shares = uses.shares.max(uses.of.len()).max(1);
        let share = self.budget / 2 / shares;
        let taken = |one: &Use| one.held.saturating_add(one.arriving);
        let (mut holding, mut set_aside) = (0_usize, 0_usize);
        for (_, one) in uses.of.iter().filter(|(name, _)| *name != cluster) {
            holding = holding.saturating_add(taken(one));
            set_aside = set_aside.saturating_add(taken(one).max(share));
        }
        let absent = shares - uses.of.len();
        set_aside = set_aside.saturating_add(absent * share);
        // Shares shrink as clusters are registered, and what was taken before stays: hence the ceiling, which no share is above.
        let leaves = self.budget.saturating_sub(set_aside) / 2;
        let ceiling = self.budget.saturating_mul(2).saturating_sub(holding);
        leaves.max(share).min(ceiling)
    }
}

impl Uses {
    fn of(&mut self, cluster: &ClusterName) -> &mut Use {
        self.of.entry(cluster.clone()).or_default()
    }

    fn took(&mut self, cluster: &ClusterName, held: usize) {
        *self.of(cluster) = Use {
            held,
            ..Use::default()
        };
    }
}

/// A cluster's part of the memory.
#[derive(Clone, Debug)]
pub struct Seat {
    room: Arc<Room>,
    cluster: ClusterName,
}

impl Seat {
    pub fn new(room: Arc<Room>, cluster: ClusterName) -> Self {
        Self { room, cluster }
    }

    pub(super) fn weigh(&self) -> Weigh {
        self.room.weigh
    }

    /// Objects of this weight are on their way beside those that are held, and lead to `result`. Refused, they are let go of.
    pub(super) fn arriving(&self, arriving: usize, result: usize) -> Result<(), Full> {
        self.room.with(|uses| {
            let held = uses.of(&self.cluster).held;
            let may = self.room.may(uses, &self.cluster);
            let wants = held.saturating_add(arriving).max(result);
            // Else who is at his limit could change nothing any more, nor have less.
            let no_more = result <= held && arriving <= HARD_BYTES;
            let used = uses.of(&self.cluster);
            if wants <= may || no_more {
                used.arriving = arriving;
                return Ok(());
            }
            let full = Full {
                cluster: self.cluster.clone(),
                wants,
                may,
            };
            (used.arriving, used.refused) = (0, Some(full.clone()));
            Err(full)
        })
    }

    /// What is held from before.
    pub(super) fn kept(&self, held: usize) {
        self.room.with(|uses| uses.of(&self.cluster).held = held);
    }

    /// What arrived is held.
    pub(super) fn taken(&self, held: usize) {
        self.room.with(|uses| uses.took(&self.cluster, held));
    }

    pub(super) fn let_go(&self) {
        self.room.let_go(&self.cluster);
    }
}
