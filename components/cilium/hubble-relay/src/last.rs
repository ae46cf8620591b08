//! The newest flows up to a number. Pure.

use std::collections::VecDeque;

/// Keeps the last `number` of what counts, and all that does not count: losses are never hidden.
#[derive(Debug)]
pub struct Last<T> {
    number: u64,
    counted: u64,
    /// What does not count and is older than all that counts.
    before: Vec<T>,
    items: VecDeque<(bool, T)>,
}

impl<T> Last<T> {
    pub fn new(number: u64) -> Self {
        Self {
            number,
            counted: 0,
            before: Vec::new(),
            items: VecDeque::new(),
        }
    }

    /// Takes one that is newer than all before.
    pub fn push(&mut self, counts: bool, value: T) {
        self.items.push_back((counts, value));
        self.counted += u64::from(counts);
        while self.counted > self.number {
            match self.items.pop_front() {
                Some((true, _)) => self.counted -= 1,
                Some((false, value)) => self.before.push(value),
                None => return,
            }
        }
    }

    /// How much is kept.
    pub fn len(&self) -> usize {
        self.before.len() + self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was kept, oldest first.
    pub fn into_items(self) -> impl Iterator<Item = T> {
        let items = self.items.into_iter().map(|(_, value)| value);
        self.before.into_iter().chain(items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_are_those_at_the_end_and_every_loss(
            items in proptest::collection::vec(any::<bool>(), 0..40), number in 0u64..12,
        ) {
            let mut last = Last::new(number);
            for (at, counts) in items.iter().enumerate() {
                last.push(*counts, at);
            }
            let counted = items.iter().filter(|counts| **counts).count();
            let passed = counted.saturating_sub(usize::try_from(number).unwrap());
            let mut seen = 0;
            let expected: Vec<usize> = items.iter().enumerate()
                .filter(|(_, counts)| {
                    seen += usize::from(**counts);
                    !**counts || seen > passed
                })
                .map(|(at, _)| at)
                .collect();
            prop_assert_eq!(last.len(), expected.len());
            prop_assert_eq!(last.into_items().collect::<Vec<_>>(), expected);
        }
    }
}
