//! How many of the numbers one namespace may take.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::{LabelSet, NumericIdentity};

/// All numbers there are.
pub const NUMBERS: usize =
    (NumericIdentity::LAST_ALLOCATED.0 - NumericIdentity::FIRST_ALLOCATED.0 + 1) as usize;
/// The last of them are kept for namespaces that hold few.
pub const KEPT: usize = NUMBERS / 4;
/// That many are few.
pub const FEW: usize = 256;

/// Who holds how many, while new ones are given.
#[derive(Debug)]
pub struct Shares {
    held: BTreeMap<String, usize>,
    free: usize,
}

impl Shares {
    /// As things are: label sets that have a number, and numbers that are not free.
    pub fn new<'a>(
        holding: impl IntoIterator<Item = &'a LabelSet>,
        taken: &BTreeSet<NumericIdentity>,
    ) -> Self {
        let mut held: BTreeMap<String, usize> = BTreeMap::new();
        for labels in holding {
            *held.entry(namespace(labels).to_owned()).or_default() += 1;
        }
        let taken = taken.iter().filter(|number| number.is_allocated()).count();
        Self {
            held,
            free: NUMBERS.saturating_sub(taken),
        }
    }

    /// Whether a label set may have one of the numbers that are left.
    pub fn allows(&self, labels: &LabelSet) -> bool {
        self.free > KEPT || self.held(namespace(labels)) < FEW
    }

    /// A number was given.
    pub fn gave(&mut self, labels: &LabelSet) {
        self.free = self.free.saturating_sub(1);
        *self.held.entry(namespace(labels).to_owned()).or_default() += 1;
    }

    /// How many a namespace holds.
    pub fn held(&self, namespace: &str) -> usize {
        self.held.get(namespace).copied().unwrap_or_default()
    }
}

/// Every namespace has its turn, so that nobody waits for all of another's.
pub fn in_turn(label_sets: Vec<&LabelSet>) -> Vec<&LabelSet> {
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ordered: Vec<(usize, &LabelSet)> = label_sets
        .into_iter()
        .map(|labels| {
            let turn = turns.entry(namespace(labels)).or_default();
            *turn += 1;
            (*turn, labels)
        })
        .collect();
    ordered.sort_by_key(|(turn, _)| *turn);
    ordered.into_iter().map(|(_, labels)| labels).collect()
}

/// Label sets without one belong together.
pub fn namespace(labels: &LabelSet) -> &str {
    labels.namespace().unwrap_or_default()
}
