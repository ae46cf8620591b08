//! Connections that have ended leave the datapath's tables; in a crowded one those who hold most of it give way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datapath::Collected;

use crate::agent::{Agent, blocking};
use crate::crowd::sentence;
use crate::holders::{other_pods, own_pods};

/// How often it is looked whether a table gets crowded. Who begins connections fast fills half of one in a few seconds.
const LOOK: Duration = Duration::from_secs(2);
/// Bounds of the pause between two rounds without a crowd.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(30);
const FIRST: Duration = Duration::from_mins(5);
const HALF_FULL: u64 = datapath::MAX_FLOWS as u64 / 2;

/// Reason of the event about those who crowd a table.
const CROWDED: &str = "ConnectionsCrowded";
/// Who floods the table may come and go; the log and the status follow, events do not.
const BETWEEN_EVENTS: Duration = Duration::from_mins(5);

pub async fn run(agent: Arc<Agent>) {
    let mut pause = FIRST;
    let mut last = Instant::now();
    let mut told = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let crowded = is_crowded(&agent).await;
        // What nobody told the agent yet may still be in use.
        if !agent.policies.ready() || (last.elapsed() < pause && !crowded) {
            continue;
        }
        last = Instant::now();
        let worker = agent.clone();
        let collected = blocking(move || worker.datapath.collect_flows()).await;
        let crowd = crowd(&agent, collected.as_ref());
        let problem = problem(&agent, collected, &mut pause);
        agent.ran("conntrack", last, problem.or_else(|| crowd.clone()));
        if let Some(sentence) = crowd
            && told.is_none_or(|told: Instant| told.elapsed() >= BETWEEN_EVENTS)
            && agent.announce(CROWDED, &sentence).await
        {
            told = Some(Instant::now());
        }
    }
}

/// What cannot be looked at is said by the next round.
async fn is_crowded(agent: &Arc<Agent>) -> bool {
    let worker = agent.clone();
    let looked = blocking(move || worker.datapath.is_crowded()).await;
    matches!(looked, Some(Ok(true)))
}

fn crowd(agent: &Agent, collected: Option<&Result<Collected, datapath::Error>>) -> Option<String> {
    let gave_way = collected?.as_ref().ok()?.gave_way.as_slice();
    let tally = &agent.tally.flows;
    for one in gave_way {
        let add = |counter: &AtomicU64, number| counter.fetch_add(number, Ordering::Relaxed);
        add(&tally.connections_shed, one.connections);
        add(&tally.translations_shed, one.translations);
    }
    if gave_way.is_empty() {
        return None;
    }
    sentence(gave_way, [&own_pods(agent), &other_pods(agent)])
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
/// connections that live, or in which somebody gave way, is looked through as often as can be.
fn next(pause: Duration, found: &Collected) -> Duration {
    let (deleted, alive) = (found.deleted.all(), found.alive.all());
    let all = deleted + alive;
    if alive > HALF_FULL || !found.gave_way.is_empty() {
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
    use std::net::Ipv4Addr;

    use datapath::{GaveWay, PerProtocol};

    use super::*;

    fn found(alive: u64, deleted: u64) -> Collected {
        let of = |tcp| PerProtocol { tcp, other: 0 };
        Collected {
            alive: of(alive),
            deleted: of(deleted),
            ..Collected::default()
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
        let crowded = Collected {
            gave_way: vec![GaveWay {
                holder: Ipv4Addr::LOCALHOST,
                connections: 1,
                translations: 0,
            }],
            ..found(10, 0)
        };
        assert_eq!(next(LONGEST, &crowded), SHORTEST);
    }
}
