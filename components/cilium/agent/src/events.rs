//! What the kernel programs tell of packets, for everybody who wants to see it.

use std::sync::Arc;
use std::time::Duration;

use datapath::Event;
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::broadcast;

/// Events a reader may lag behind before it loses some.
const WAITING: usize = 4096;

/// One writer, any number of readers. The writer never waits: who reads too slowly loses events and learns how many.
#[derive(Debug)]
pub struct Events(broadcast::Sender<Arc<Event>>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Events {
    pub fn publish(&self, event: Event) {
        // Without a reader there is nobody to miss it.
        let _ = self.0.send(Arc::new(event));
    }

    /// What is published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }
}

/// Turns times of the monotonic clock into times of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Timestamp,
    monotonic: Duration,
}

impl Clock {
    /// As both clocks stand now; a clock that is set later is not followed.
    pub fn read() -> Self {
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map(Duration::from)
            .unwrap_or_default();
        Self {
            now: Timestamp::now(),
            monotonic,
        }
    }

    pub fn time_of(&self, monotonic: Duration) -> Timestamp {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or_default();
        let distance = signed(monotonic) - signed(self.monotonic);
        self.now.checked_add(distance).unwrap_or(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_the_clock_was_read_is_before_it() {
        let clock = Clock {
            now: "2026-01-01T00:00:10Z".parse().unwrap(),
            monotonic: Duration::from_secs(100),
        };
        let time = |seconds| clock.time_of(Duration::from_secs(seconds)).to_string();
        assert_eq!(time(99), "2026-01-01T00:00:09Z");
        assert_eq!(time(101), "2026-01-01T00:00:11Z");
    }
}
