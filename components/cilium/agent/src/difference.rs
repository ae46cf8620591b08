//! From what is to what should be: the one way tables of the datapath are changed.

use std::collections::BTreeMap;

/// What one pass did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub written: usize,
    pub removed: usize,
    /// One sentence per entry that could not be written; the others were.
    pub failures: Vec<String>,
}

/// What cannot be done is a sentence.
pub type Upsert<'a, K, V> = Box<dyn Fn(&K, &V) -> Result<(), String> + 'a>;
pub type Remove<'a, K> = Box<dyn Fn(&K) -> Result<(), String> + 'a>;

/// What the datapath did, or why not, as a sentence.
pub fn said(done: Result<(), datapath::Error>) -> Result<(), String> {
    done.map_err(|error| cilium_cni::error::chain(&error))
}

/// How an entry is written and removed.
#[expect(
    missing_debug_implementations,
    reason = "two closures have nothing to show"
)]
pub struct Writer<'a, K, V> {
    pub upsert: Upsert<'a, K, V>,
    pub remove: Remove<'a, K>,
}

/// Writes first and removes last, so that nothing that stays is ever missing. Removes nothing unless `may_remove`:
/// before every source is synced, "not there" means "not heard of yet".
///
/// `current` is brought up to date with what succeeded.
pub fn apply<K: Ord + Clone, V: PartialEq + Clone>(
    current: &mut BTreeMap<K, V>,
    desired: &BTreeMap<K, V>,
    may_remove: bool,
    writer: Writer<'_, K, V>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (key, value) in desired {
        if current.get(key) == Some(value) {
            continue;
        }
        match (writer.upsert)(key, value) {
            Ok(()) => {
                current.insert(key.clone(), value.clone());
                outcome.written += 1;
            }
            Err(sentence) => outcome.failures.push(sentence),
        }
    }
    if !may_remove {
        return outcome;
    }
    let gone: Vec<K> = current
        .keys()
        .filter(|key| !desired.contains_key(key))
        .cloned()
        .collect();
    for key in gone {
        match (writer.remove)(&key) {
            Ok(()) => {
                current.remove(&key);
                outcome.removed += 1;
            }
            Err(sentence) => outcome.failures.push(sentence),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(
        current: &mut BTreeMap<u8, u8>,
        desired: &BTreeMap<u8, u8>,
        may_remove: bool,
        broken: Option<u8>,
    ) -> Outcome {
        let refuse = move |key: &u8| {
            if broken == Some(*key) {
                return Err(format!("{key} is broken"));
            }
            Ok(())
        };
        let writer = Writer {
            upsert: Box::new(move |key, _: &u8| refuse(key)),
            remove: Box::new(move |key| refuse(key)),
        };
        apply(current, desired, may_remove, writer)
    }

    #[test]
    fn before_everything_is_synced_nothing_is_removed() {
        let mut current = BTreeMap::from([(1, 1), (2, 2)]);
        let outcome = run(&mut current, &BTreeMap::from([(3, 3)]), false, None);
        assert_eq!((outcome.written, outcome.removed), (1, 0));
        assert_eq!(current, BTreeMap::from([(1, 1), (2, 2), (3, 3)]));
    }

    #[test]
    fn one_entry_that_fails_does_not_keep_the_others_and_is_tried_again() {
        let mut current = BTreeMap::new();
        let desired = BTreeMap::from([(1, 1), (2, 2), (3, 3)]);
        let outcome = run(&mut current, &desired, true, Some(2));
        assert_eq!(
            (outcome.written, outcome.failures),
            (2, vec!["2 is broken".to_owned()])
        );
        assert_eq!(run(&mut current, &desired, true, None).written, 1);
    }

    proptest! {
        #[test]
        fn after_a_pass_all_is_as_desired_and_a_second_pass_does_nothing(
            mut current: BTreeMap<u8, u8>, desired: BTreeMap<u8, u8>,
        ) {
            run(&mut current, &desired, true, None);
            prop_assert_eq!(&current, &desired);
            prop_assert_eq!(run(&mut current, &desired, true, None), Outcome::default());
        }
    }
}
