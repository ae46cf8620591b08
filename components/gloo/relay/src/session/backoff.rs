//! When to try again, and when to renew. The randomness comes from the caller.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// Another agent of the cluster serves it, or there is no room for what it has. One that asks again and again would only fence the
/// other in turn, or send all it has for nothing.
const FENCED: Duration = Duration::from_mins(2);
/// How many times its next pause a stream must have held for the trouble before it to be over.
const HELD: u32 = 10;

/// Pauses between attempts: doubling from a second to a minute, spread so that a hundred agents do not come at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next pause. `random` is uniform in 0..1.
    pub fn pause(&mut self, random: f64) -> Duration {
        let longest = self.longest();
        self.attempts = self.attempts.saturating_add(1);
        longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// The pause of an agent that another one fenced, or that has no room.
    pub fn fenced(random: f64) -> Duration {
        FENCED.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// An attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A stream held for so long before it ended, whatever ended it. Short ones count as attempts that failed: a server that takes
    /// streams and breaks under them is not helped by agents that come back at once.
    pub fn held(&mut self, lasted: Duration) {
        if lasted >= (self.longest() * HELD).min(LONGEST) {
            self.reset();
        }
    }

    fn longest(&self) -> Duration {
        FIRST
            .saturating_mul(1 << self.attempts.min(16))
            .min(LONGEST)
    }
}

/// When a certificate is renewed, after its beginning: between half and two thirds of its life.
pub fn renewal(life: Duration, random: f64) -> Duration {
    life.mul_f64(0.5 + random.clamp(0.0, 1.0) / 6.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_are_spread() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause(1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.pause(0.0).as_secs(), 30);
        backoff.reset();
        assert_eq!(backoff.pause(0.0).as_millis(), 500);
    }

    #[test]
    fn a_stream_that_held_much_longer_than_its_pause_ends_the_trouble_before_it() {
        let after = |attempts: u32, held: u64| {
            let mut backoff = Backoff { attempts };
            backoff.held(Duration::from_secs(held));
            backoff.pause(1.0).as_secs()
        };
        assert_eq!([after(1, 19), after(1, 20)], [2, 1]);
        assert_eq!([after(2, 39), after(2, 40)], [4, 1]);
        assert_eq!([after(9, 59), after(9, 60)], [60, 1]);
    }

    #[test]
    fn certificates_are_renewed_between_half_and_two_thirds_of_their_life() {
        let life = Duration::from_mins(10);
        assert_eq!(renewal(life, 0.0).as_secs(), 300);
        assert_eq!(renewal(life, 1.0).as_secs(), 400);
    }
}
