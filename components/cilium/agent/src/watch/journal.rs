//! Which objects changed of late, for readers that would else look through all of them.

use std::collections::VecDeque;

use super::Key;

/// More changes than this between two looks of a reader, and it looks through everything once.
const KEPT: usize = 1024;

/// The last changes. Positions count all there ever were.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    keys: VecDeque<Key>,
    /// Position of the oldest change that is kept.
    first: u64,
}

impl Journal {
    pub(super) fn note(&mut self, key: Key) {
        if self.keys.len() == KEPT {
            self.keys.pop_front();
            self.first += 1;
        }
        self.keys.push_back(key);
    }

    /// Anything may have changed, so that every reader is to look through everything.
    pub(super) fn forget(&mut self) {
        self.first = self.end() + 1;
        self.keys.clear();
    }

    /// Where the next change will be.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.keys.len() as u64
    }

    /// What changed from this position on; one that changed twice is named twice. `None`: that is not kept any more.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = &Key>> {
        let known = usize::try_from(position.checked_sub(self.first)?).ok()?;
        (known <= self.keys.len()).then(|| self.keys.range(known..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: usize) -> Key {
        ("shop".to_owned(), name.to_string())
    }

    fn since(journal: &Journal, position: u64) -> Option<Vec<Key>> {
        Some(journal.since(position)?.cloned().collect())
    }

    #[test]
    fn a_reader_is_told_what_came_after_its_last_look() {
        let mut journal = Journal::default();
        journal.note(key(1));
        let position = journal.end();
        assert_eq!(since(&journal, position), Some(vec![]));
        journal.note(key(2));
        journal.note(key(1));
        assert_eq!(since(&journal, position), Some(vec![key(2), key(1)]));
        assert_eq!(since(&journal, 0).map(|all| all.len()), Some(3));
    }

    #[test]
    fn who_looks_too_late_is_told_to_look_through_everything() {
        let mut journal = Journal::default();
        let (before, all) = (journal.end(), KEPT + 1);
        for number in 0..all {
            journal.note(key(number));
        }
        assert_eq!(since(&journal, before), None);
        assert_eq!(since(&journal, before + 1).map(|all| all.len()), Some(KEPT));
    }

    #[test]
    fn after_a_new_listing_nobody_is_told_of_single_changes() {
        let mut journal = Journal::default();
        journal.note(key(1));
        let position = journal.end();
        journal.forget();
        assert_eq!(since(&journal, position), None);
        assert_eq!(since(&journal, journal.end()), Some(vec![]));
    }
}
