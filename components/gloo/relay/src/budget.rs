//! How much may disappear at once before a person is asked.
//!
//! A server that lost its memory, or its mind, desires nothing. What it would remove is held at both ends until somebody
//! confirms exactly that removal by its digest; everything else goes on.

use std::collections::BTreeSet;

use crate::{digest::Digest, key::ObjectKey};

/// A removal is held when it is more than `floor` objects and more than `fraction` of those there were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MassRemoval {
    pub fraction: f64,
    pub floor: usize,
}

impl Default for MassRemoval {
    fn default() -> Self {
        Self {
            fraction: 0.2,
            floor: 5,
        }
    }
}

/// What to do with the removals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    Proceed,
    /// Nothing is removed. `digest` is what a person confirms; it is that of the removed keys and changes with them.
    Hold {
        removed: usize,
        digest: Digest,
    },
}

impl MassRemoval {
    /// `before` is what there was when the budget was last full, not what there was a moment ago: else many small removals pass
    /// where one large one is held.
    pub fn judge(
        &self,
        before: &BTreeSet<ObjectKey>,
        after: &BTreeSet<ObjectKey>,
        confirmed: Option<Digest>,
    ) -> Judgement {
        let (mut removed, mut digest) = (0, Digest::default());
        for key in before.difference(after) {
            removed += 1;
            digest.add(Digest::of(key, b""));
        }
        if removed <= self.floor
            || !self.exceeds(removed, before.len())
            || confirmed == Some(digest)
        {
            Judgement::Proceed
        } else {
            Judgement::Hold { removed, digest }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of objects are far below 2^52"
    )]
    fn exceeds(&self, removed: usize, before: usize) -> bool {
        removed as f64 > self.fraction * before as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<usize>) -> BTreeSet<ObjectKey> {
        range
            .map(|name| ObjectKey::new("v1", "Policy", "shop", &format!("p{name}")).unwrap())
            .collect()
    }

    fn judge(before: usize, left: usize) -> Judgement {
        MassRemoval::default().judge(&keys(0..before), &keys(0..left), None)
    }

    #[test]
    fn a_fifth_goes_and_more_is_held() {
        assert_eq!(judge(100, 80), Judgement::Proceed);
        assert!(matches!(
            judge(100, 79),
            Judgement::Hold { removed: 21, .. }
        ));
    }

    #[test]
    fn an_empty_state_is_held_unless_there_was_next_to_nothing() {
        assert!(matches!(judge(6, 0), Judgement::Hold { removed: 6, .. }));
        assert_eq!(judge(5, 0), Judgement::Proceed);
        assert_eq!(judge(0, 0), Judgement::Proceed);
    }

    #[test]
    fn a_confirmation_is_for_one_removal() {
        let budget = MassRemoval::default();
        let Judgement::Hold { digest, .. } = budget.judge(&keys(0..10), &keys(0..1), None) else {
            panic!("held");
        };
        let confirmed = Some(digest);
        assert_eq!(
            budget.judge(&keys(0..10), &keys(0..1), confirmed),
            Judgement::Proceed
        );
        assert!(matches!(
            budget.judge(&keys(0..10), &keys(0..0), confirmed),
            Judgement::Hold { .. }
        ));
    }

    #[test]
    fn what_is_added_does_not_make_up_for_what_is_removed() {
        let after = keys(10..40);
        let judged = MassRemoval::default().judge(&keys(0..10), &after, None);
        assert!(matches!(judged, Judgement::Hold { removed: 10, .. }));
    }
}
