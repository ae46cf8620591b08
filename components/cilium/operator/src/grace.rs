//! Since when something is unwanted, and whether that is long enough. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Remembers since when each of a set of things has been unwanted without a break.
#[derive(Debug)]
pub struct Grace<T> {
    since: BTreeMap<T, Instant>,
    length: Duration,
}

impl<T: Ord + Clone> Grace<T> {
    /// Things are due after `length`.
    pub fn new(length: Duration) -> Self {
        Self {
            since: BTreeMap::new(),
            length,
        }
    }

    /// Takes in what is unwanted now and returns what has been for long enough.
    pub fn due(&mut self, unwanted: impl IntoIterator<Item = T>, now: Instant) -> Vec<T> {
        let unwanted: BTreeSet<T> = unwanted.into_iter().collect();
        self.since.retain(|thing, _| unwanted.contains(thing));
        for thing in unwanted {
            self.since.entry(thing).or_insert(now);
        }
        let old = self
            .since
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= self.length);
        old.map(|(thing, _)| thing.clone()).collect()
    }

    /// Forgets everything: what was not seen for a while may have been wanted meanwhile.
    pub fn restart(&mut self) {
        self.since.clear();
    }

    /// When the next thing becomes due.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        self.since
            .values()
            .map(|&since| (since + self.length).saturating_duration_since(now))
            .filter(|d| !d.is_zero())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thing_is_due_when_it_was_unwanted_all_the_time() {
        let mut grace = Grace::new(SECOND * 10);
        let start = Instant::now();
        assert!(grace.due(["a", "b"], start).is_empty());
        assert!(grace.due(["a"], start + SECOND * 5).is_empty());
        assert_eq!(grace.next(start + SECOND * 5), Some(SECOND * 5));
        assert_eq!(grace.due(["a", "b"], start + SECOND * 10), ["a"]);
    }

    #[test]
    fn after_a_restart_the_time_counts_anew() {
        let mut grace = Grace::new(SECOND * 10);
        let start = Instant::now();
        grace.due(["a"], start);
        grace.restart();
        assert!(grace.due(["a"], start + SECOND * 10).is_empty());
        assert_eq!(grace.due(["a"], start + SECOND * 20), ["a"]);
    }
}
