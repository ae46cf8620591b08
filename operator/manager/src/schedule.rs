//! When to look again.

use std::time::Duration;

use gloonet_plan::retry;
use jiff::Timestamp;

/// Between probes while something is on its way.
const BUSY: Duration = Duration::from_secs(2);
/// Between probes while everything is healthy.
const CALM: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What a reconcile asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Next {
    /// Every component is healthy and nothing failed.
    pub(crate) settled: bool,
    /// Something failed that may work later.
    pub(crate) retry: bool,
    /// The turn came to no end: what it was to say is not said.
    pub(crate) failed: bool,
    /// The status changes by time alone at this moment.
    pub(crate) wake: Option<Timestamp>,
}

/// Remembers failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    failures: u32,
}

impl Schedule {
    /// Time until the next reconcile if nothing happens before, and time between probes. `jitter` is from 0 to 1.
    pub(crate) fn after(
        &mut self,
        next: &Next,
        now: Timestamp,
        jitter: f64,
    ) -> (Option<Duration>, Duration) {
        let wake = next
            .wake
            .map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        let probes = if next.settled { CALM } else { BUSY };
        if !next.retry {
            self.failures = 0;
            return (wake, probes);
        }
        let pause = retry::pause(self.failures, LONGEST_RETRY, jitter);
        self.failures += 1;
        // A look sets off a turn, and with it what has just failed.
        let probes = if next.failed {
            pause.clamp(BUSY, CALM)
        } else {
            probes
        };
        (Some(wake.map_or(pause, |wake| wake.min(pause))), probes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds between probes after turns in a row that ended so.
    fn looks(next: &Next) -> Vec<u64> {
        let mut schedule = Schedule::default();
        let looks = (0..6).map(|_| schedule.after(next, Timestamp::UNIX_EPOCH, 0.5).1.as_secs());
        looks.collect()
    }

    #[test]
    fn a_turn_that_fails_is_not_set_off_again_by_the_next_look() {
        let retry = Next {
            retry: true,
            ..Next::default()
        };
        let failed = Next {
            failed: true,
            ..retry.clone()
        };
        assert_eq!(looks(&failed), [2, 4, 8, 15, 15, 15]);
        assert_eq!(
            looks(&retry),
            [2; 6],
            "one step that fails holds up no look"
        );
    }

    #[test]
    fn failures_in_a_row_wait_longer_up_to_a_minute_and_success_starts_over() {
        let mut schedule = Schedule::default();
        let failed = Next {
            retry: true,
            ..Next::default()
        };
        let pauses: Vec<u64> = (0..7)
            .map(|_| {
                schedule
                    .after(&failed, Timestamp::UNIX_EPOCH, 0.5)
                    .0
                    .unwrap()
                    .as_secs()
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(
            schedule
                .after(&Next::default(), Timestamp::UNIX_EPOCH, 0.5)
                .0,
            None
        );
        assert_eq!(
            schedule.after(&failed, Timestamp::UNIX_EPOCH, 0.5).0,
            Some(Duration::from_secs(2))
        );
    }
}
