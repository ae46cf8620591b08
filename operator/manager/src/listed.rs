//! Until when what was read by list is believed.

use gloonet_cluster::observe::Listed;
use jiff::{SignedDuration, Timestamp};

/// After a refusal somebody may be creating what was missing.
const REFUSED: SignedDuration = SignedDuration::from_secs(15);
/// It hardly ever changes, and each look is two requests.
const ACCEPTED: SignedDuration = SignedDuration::from_mins(10);

/// What was listed, and for what.
pub(crate) struct ListedAt {
    /// Of the specification that was judged with it.
    pub(crate) generation: i64,
    pub(crate) at: Timestamp,
    /// The specification was refused.
    pub(crate) refused: bool,
    pub(crate) listed: Listed,
}

impl ListedAt {
    pub(crate) fn is_stale(&self, generation: i64, now: Timestamp) -> bool {
        let patience = if self.refused { REFUSED } else { ACCEPTED };
        self.generation != generation || now.duration_since(self.at) >= patience
    }

    /// When to list anew though nothing sets off a turn. An accepted specification waits for the next turn.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        self.refused.then(|| self.at + REFUSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: i64 = 7;

    fn listed(refused: bool) -> ListedAt {
        ListedAt {
            generation: GENERATION,
            at: Timestamp::UNIX_EPOCH,
            refused,
            listed: Listed::default(),
        }
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn what_was_listed_for_another_generation_is_stale_at_once() {
        assert!(!listed(false).is_stale(GENERATION, after(0)));
        assert!(listed(false).is_stale(GENERATION + 1, after(0)));
    }

    #[test]
    fn a_refused_specification_is_judged_anew_every_quarter_of_a_minute() {
        assert!(!listed(true).is_stale(GENERATION, after(14)));
        let wake = listed(true).wake().unwrap();
        assert_eq!(wake, after(15));
        assert!(listed(true).is_stale(GENERATION, wake));
    }

    #[test]
    fn an_accepted_specification_costs_a_look_in_ten_minutes_and_wakes_nobody() {
        assert!(!listed(false).is_stale(GENERATION, after(599)));
        assert!(listed(false).is_stale(GENERATION, after(600)));
        assert_eq!(listed(false).wake(), None);
    }
}
