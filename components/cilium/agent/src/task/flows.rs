//! Connections that have ended leave the datapath's tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datapath::Collected;

use crate::agent::{Agent, blocking};

/// Bounds of the pause between two rounds.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(30);
const FIRST: Duration = Duration::from_mins(5);
const HALF_FULL: u64 = datapath::MAX_FLOWS as u64 / 2;

pub async fn run(agent: Arc<Agent>) {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        // What nobody told the agent yet may still be in use.
        if !agent.policies.ready() {
            pause = SHORTEST;
            continue;
        }
        let worker = agent.clone();
        let collected = blocking(move || worker.datapath.collect_flows()).await;
        agent.report("conntrack", problem(&agent, collected, &mut pause));
    }
}

fn problem(
    agent: &Agent,
    collected: Option<Result<Collected, datapath::Error>>,
    pause: &mut Duration,
) -> Option<String> {
    let tally = &agent.tally.flows;
    tally.runs.fetch_add(1, Ordering::Relaxed);
    match collected {
        Some(Ok(found)) => {
            *pause = next(*pause, &found);
            let set = |gauge: &AtomicU64, value| gauge.store(value, Ordering::Relaxed);
            set(&tally.tcp_alive, found.alive.tcp);
            set(&tally.tcp_deleted, found.deleted.tcp);
            set(&tally.other_alive, found.alive.other);
            set(&tally.other_deleted, found.deleted.other);
            None
        }
        Some(Err(error)) => {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            Some(cilium_cni::error::chain(&error))
        }
        None => Some("collecting connections panicked".to_owned()),
    }
}

/// A round that found much to remove comes again sooner, one that found little later. A table that is half full of
/// connections that live is looked through as often as can be.
fn next(pause: Duration, found: &Collected) -> Duration {
    let deleted = found.deleted.tcp + found.deleted.other;
    let alive = found.alive.tcp + found.alive.other;
    let all = deleted + alive;
    if alive > HALF_FULL {
        return SHORTEST;
    }
    let next = if deleted * 4 > all {
        pause / 2
    } else if deleted * 20 < all.max(1) {
        pause * 3 / 2
    } else {
        pause
    };
    next.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use datapath::PerProtocol;

    use super::*;

    fn found(alive: u64, deleted: u64) -> Collected {
        let of = |tcp| PerProtocol { tcp, other: 0 };
        Collected {
            alive: of(alive),
            deleted: of(deleted),
            translations: 0,
        }
    }

    #[test]
    fn rounds_come_sooner_where_much_ends_and_later_where_little_does() {
        assert_eq!(next(FIRST, &found(10, 90)), FIRST / 2);
        assert_eq!(next(FIRST, &found(100, 1)), FIRST * 3 / 2);
        assert_eq!(next(FIRST, &found(90, 10)), FIRST);
        assert_eq!(next(SHORTEST, &found(0, 9)), SHORTEST);
        assert_eq!(next(LONGEST, &found(0, 0)), LONGEST);
    }

    #[test]
    fn a_table_that_fills_up_is_looked_through_as_often_as_can_be() {
        assert_eq!(next(LONGEST, &found(HALF_FULL + 1, 0)), SHORTEST);
    }
}
