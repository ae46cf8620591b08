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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(namespace: &str, app: usize) -> LabelSet {
        let app = app.to_string();
        LabelSet::from_iter([
            ("k8s:app", app.as_str()),
            ("k8s:io.kubernetes.pod.namespace", namespace),
        ])
    }

    /// So many numbers are free, and each of these namespaces holds so many.
    fn shares(free: usize, held: &[(&str, usize)]) -> Shares {
        let each = held
            .iter()
            .flat_map(|(namespace, number)| (0..*number).map(|app| of(namespace, app)));
        let holding: Vec<LabelSet> = each.collect();
        let numbers = NumericIdentity::FIRST_ALLOCATED.0..;
        let taken = numbers.take(NUMBERS - free).map(NumericIdentity);
        // What Cilium reserves is nobody's, and takes nothing away.
        let reserved = (1..200).map(NumericIdentity);
        Shares::new(&holding, &taken.chain(reserved).collect())
    }

    #[test]
    fn the_first_number_of_the_last_quarter_is_for_a_namespace_with_few_and_so_is_the_last() {
        let held = [("greedy", FEW), ("shop", FEW - 1)];
        let before = shares(KEPT + 1, &held);
        assert!(before.allows(&of("greedy", 0)) && before.allows(&of("shop", 0)));
        for free in [KEPT, 1] {
            let within = shares(free, &held);
            assert!(!within.allows(&of("greedy", 0)), "{free}");
            assert!(within.allows(&of("shop", 0)), "{free}");
            assert!(within.allows(&of("new", 0)), "{free}");
        }
    }

    #[test]
    fn what_is_given_counts_at_once() {
        let mut shares = shares(KEPT + 1, &[("greedy", FEW), ("shop", FEW - 1)]);
        shares.gave(&of("shop", FEW));
        assert_eq!(shares.held("shop"), FEW);
        assert!(!shares.allows(&of("shop", 0)) && !shares.allows(&of("greedy", 0)));
    }

    #[test]
    fn namespaces_take_turns_and_keep_their_own_order() {
        let all = [
            of("a", 1),
            of("a", 2),
            of("a", 3),
            of("b", 1),
            of("b", 2),
            of("c", 1),
        ];
        let turns = in_turn(all.iter().collect());
        let expected = [0, 3, 5, 1, 4, 2].map(|at: usize| &all[at]);
        assert_eq!(turns, expected);
    }
}
