//! When a node is probed. Pure: what looks random is a hash, so that agents do not act together and tests can be exact.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// Upstream's, for one address; more of them make it grow with their logarithm.
pub const BASE: Duration = Duration::from_mins(1);
/// Agents that start together ask a node within so much time, and not at once.
const FIRST: Duration = Duration::from_secs(5);
/// After a failure; doubled with each one more.
const RETRY: Duration = Duration::from_secs(5);
/// Until then a node that is back counts as lost, in metrics and in the operator's gate.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// How long a node is left alone after a probe, where so many addresses are probed. Whole seconds: it is shown.
pub(super) fn interval(addresses: usize) -> Duration {
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    let grown = BASE.mul_f64(f64::from(addresses).ln_1p().max(1.0));
    Duration::from_secs(grown.as_secs())
}

/// Until the first probe.
pub(super) fn first(seed: u64) -> Duration {
    FIRST * per_mille(seed) / 1000
}

/// Until the next probe, after so many failures in a row; a tenth more or less.
pub fn next(interval: Duration, failures: u32, seed: u64) -> Duration {
    let pause = match failures.checked_sub(1) {
        None => interval,
        Some(more) => {
            LONGEST_RETRY.min(RETRY.saturating_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX)))
        }
    };
    pause * (900 + per_mille(seed) / 5) / 1000
}

/// Differs between agents, between the nodes they ask, and between one time and the next.
pub fn seed(own: &str, node: &str, attempt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (own, node, attempt).hash(&mut hasher);
    hasher.finish()
}

fn per_mille(seed: u64) -> u32 {
    u32::try_from(seed % 1000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_grows_with_the_logarithm_of_the_addresses_as_upstreams_does() {
        for (addresses, seconds) in [
            (0, 60),
            (1, 60),
            (2, 65),
            (6, 116),
            (200, 318),
            (10_000, 552),
        ] {
            assert_eq!(interval(addresses).as_secs(), seconds, "{addresses}");
        }
    }

    #[test]
    fn agents_that_start_together_do_not_ask_a_node_together() {
        let mut pauses: Vec<_> = (0..100)
            .map(|number| first(seed(&format!("worker-{number}"), "control-plane", 0)))
            .collect();
        pauses.sort();
        assert!(pauses[0] < Duration::from_secs(1), "{pauses:?}");
        assert!(pauses[99] > Duration::from_secs(4), "{pauses:?}");
        assert!(pauses[99] < FIRST, "{pauses:?}");
        pauses.dedup();
        assert!(pauses.len() > 80, "{}", pauses.len());
    }

    #[test]
    fn a_probe_follows_another_after_an_interval_give_or_take_a_tenth() {
        let interval = Duration::from_secs(100);
        let mut all: Vec<_> = (0..200)
            .map(|attempt| next(interval, 0, seed("a", "b", attempt)))
            .collect();
        all.sort();
        assert!(
            all[0] >= Duration::from_secs(90) && all[0] < Duration::from_secs(95),
            "{all:?}"
        );
        assert!(
            all[199] < Duration::from_secs(110) && all[199] > Duration::from_secs(105),
            "{all:?}"
        );
    }

    #[test]
    fn what_failed_is_tried_again_soon_then_less_often_and_at_least_every_half_minute() {
        let middle = |failures| next(Duration::from_secs(116), failures, 500).as_secs();
        let pauses: Vec<_> = [1, 2, 3, 4, 5, 6, 7, 32, 33, 4000].map(middle).into();
        assert_eq!(pauses, [5, 10, 20, 30, 30, 30, 30, 30, 30, 30]);
    }
}
