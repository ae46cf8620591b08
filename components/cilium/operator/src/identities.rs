//! Identities: one number per label set that some pod has.
//!
//! Agents author none (security.md D2). A number is made when a pod needs it and removed when nothing has used it for
//! a while and everything that could use it is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use cilium_api::{LabelSet, NumericIdentity};

use self::share::{Shares, in_turn, namespace};
use crate::grace::Grace;

pub mod claims;
pub mod controller;
pub mod share;

/// What is known about label sets and numbers at one moment.
#[derive(Debug, Default)]
pub struct Facts {
    /// Label sets of the pods that exist.
    pub wanted: BTreeSet<LabelSet>,
    /// Identities that exist.
    pub existing: BTreeMap<NumericIdentity, LabelSet>,
    /// Numbers in use by endpoints, whatever their pod says.
    pub referenced: BTreeSet<NumericIdentity>,
    /// Numbers of identities that cannot be read.
    pub blocked: BTreeSet<NumericIdentity>,
    /// Whether everything that may use an identity is known; nothing is called unused otherwise.
    pub complete: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    /// Identities to make.
    pub create: Vec<(NumericIdentity, LabelSet)>,
    /// Identities to remove.
    pub delete: Vec<NumericIdentity>,
    /// Label sets no number is left for.
    pub without_number: usize,
    /// Those that get none because their namespace holds so many, by namespace.
    pub refused: BTreeMap<String, Refused>,
    /// Numbers in use or taken.
    pub taken: usize,
    /// When the next identity has been unused for long enough, if nothing changes before.
    pub again: Option<Duration>,
}

/// A namespace that gets no more numbers for now.
#[derive(Debug, Default, PartialEq)]
pub struct Refused {
    /// Numbers it holds.
    pub held: usize,
    /// Label sets of its pods that have none.
    pub label_sets: BTreeSet<LabelSet>,
}

/// At most this many are made in one look: who comes meanwhile waits a second or two, however many another has asked for.
const CREATIONS: usize = 200;

/// At most this many are removed in one look, and one look a second then: Cilium's limit of 2500 a minute.
const DELETIONS: usize = 40;
const NEXT_LOOK: Duration = Duration::from_secs(1);

/// An identity that was made and does not show within this time is gone again.
const SHOWN_AFTER: Duration = Duration::from_secs(30);

/// Gives numbers to label sets. Knows what it gave before the watch shows it.
#[derive(Debug)]
pub struct Allocator {
    assumed: BTreeMap<NumericIdentity, (LabelSet, Instant)>,
    /// The number each label set had last: an identity somebody deleted comes back under its number, because datapaths
    /// still know the pods by it.
    last: BTreeMap<LabelSet, NumericIdentity>,
    cursor: u32,
    unused: Grace<NumericIdentity>,
}

impl Allocator {
    /// An allocator that lets an identity be unused for `grace`.
    pub fn new(grace: Duration) -> Self {
        let cursor = NumericIdentity::FIRST_ALLOCATED.0;
        Self {
            assumed: BTreeMap::new(),
            last: BTreeMap::new(),
            cursor,
            unused: Grace::new(grace),
        }
    }

    /// Decides. Of several identities with one label set the lowest is the one everybody uses.
    pub fn step(&mut self, facts: &Facts, now: Instant) -> Step {
        self.assumed.retain(|number, (_, made)| {
            !facts.existing.contains_key(number) && now.duration_since(*made) < SHOWN_AFTER
        });
        let chosen = self.chosen(facts);
        let (missing, present): (Vec<&LabelSet>, Vec<&LabelSet>) =
            facts.wanted.iter().partition(|l| !chosen.contains_key(*l));
        let mut used: BTreeSet<NumericIdentity> = facts.referenced.clone();
        used.extend(present.iter().filter_map(|labels| chosen.get(*labels)));
        for (labels, number) in chosen {
            self.last.insert(labels, number);
        }

        let mut taken: BTreeSet<NumericIdentity> = facts.existing.keys().copied().collect();
        taken.extend(self.assumed.keys());
        taken.extend(&facts.blocked);
        let mut step = self.create(missing, &mut taken, facts);
        step.delete = self.unused(facts, &used, now);
        let unfinished = step.create.len() >= CREATIONS || !step.delete.is_empty();
        step.again = if unfinished {
            Some(NEXT_LOOK)
        } else {
            self.unused.next(now)
        };
        step.taken = taken.len();
        step
    }

    /// Remembers that an identity was made.
    pub fn made(&mut self, number: NumericIdentity, labels: LabelSet, now: Instant) {
        self.last.insert(labels.clone(), number);
        self.assumed.insert(number, (labels, now));
    }

    fn chosen(&self, facts: &Facts) -> BTreeMap<LabelSet, NumericIdentity> {
        let assumed = self.assumed.iter().map(|(n, (labels, _))| (n, labels));
        let mut chosen: BTreeMap<LabelSet, NumericIdentity> = BTreeMap::new();
        for (&number, labels) in facts.existing.iter().chain(assumed) {
            let lowest = chosen.entry(labels.clone()).or_insert(number);
            *lowest = number.min(*lowest);
        }
        chosen
    }

    /// Numbers for label sets without one: first those that come back, then the new ones. A number an endpoint claims is
    /// given to nobody but the label set that had it.
    fn create(
        &mut self,
        missing: Vec<&LabelSet>,
        taken: &mut BTreeSet<NumericIdentity>,
        facts: &Facts,
    ) -> Step {
        let mut step = Step::default();
        let mut new = Vec::new();
        for labels in missing {
            match self
                .last
                .get(labels)
                .copied()
                .filter(|n| !taken.contains(n))
            {
                Some(number) => {
                    taken.insert(number);
                    step.create.push((number, labels.clone()));
                }
                None => new.push(labels),
            }
        }
        taken.extend(&facts.referenced);
        let assumed = self.assumed.values().map(|(labels, _)| labels);
        let back = step.create.iter().map(|(_, labels)| labels);
        let holding = facts.existing.values().chain(assumed).chain(back);
        let mut shares = Shares::new(holding, taken);
        for labels in in_turn(new) {
            if !shares.allows(labels) {
                let refused = step.refused.entry(namespace(labels).to_owned());
                let refused = refused.or_default();
                refused.held = shares.held(namespace(labels));
                refused.label_sets.insert(labels.clone());
            } else if step.create.len() < CREATIONS {
                match self.next_free(taken) {
                    Some(number) => {
                        taken.insert(number);
                        shares.gave(labels);
                        step.create.push((number, labels.clone()));
                    }
                    None => step.without_number += 1,
                }
            }
        }
        step
    }

    /// The next number behind the last one given, so that a number just freed is used again as late as possible.
    fn next_free(&mut self, taken: &BTreeSet<NumericIdentity>) -> Option<NumericIdentity> {
        let (first, last) = (
            NumericIdentity::FIRST_ALLOCATED.0,
            NumericIdentity::LAST_ALLOCATED.0,
        );
        let number = (self.cursor..=last)
            .chain(first..self.cursor)
            .map(NumericIdentity)
            .find(|n| !taken.contains(n))?;
        self.cursor = if number.0 == last {
            first
        } else {
            number.0 + 1
        };
        Some(number)
    }

    fn unused(
        &mut self,
        facts: &Facts,
        used: &BTreeSet<NumericIdentity>,
        now: Instant,
    ) -> Vec<NumericIdentity> {
        if !facts.complete {
            self.unused.restart();
            return Vec::new();
        }
        let mut due = self.unused.due(
            facts.existing.keys().filter(|n| !used.contains(n)).copied(),
            now,
        );
        due.truncate(DELETIONS);
        self.last.retain(|_, number| !due.contains(number));
        due
    }
}

#[cfg(test)]
mod tests;
