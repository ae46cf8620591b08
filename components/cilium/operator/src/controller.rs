//! The loop every duty runs in: read, decide, write, wait for a change.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::select_all;
use gloonet_daemon::error::chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    metrics::Metrics,
    world::World,
    write::{Outcome, Write, Writer},
};

/// One duty.
pub trait Controller: Send + 'static {
    /// Name in logs and metrics.
    const NAME: &'static str;

    /// Changes that make the duty look again.
    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>>;

    /// What is to be written now. Must not wait, ask the clock or talk to anybody.
    fn decide(&mut self, world: &World, now: Instant) -> Decision;

    /// Told of every write that was carried out.
    fn written(&mut self, _write: &Write) {}
}

/// What a duty wants.
#[derive(Debug, Default)]
pub struct Decision {
    /// In this order.
    pub writes: Vec<Write>,
    /// Look again after this time even if nothing changes.
    pub again: Option<Duration>,
}

/// A change is rarely alone; looking again right away would decide many times about one rollout.
const SETTLE: Duration = Duration::from_millis(50);
/// Nothing is left to events alone.
const RESYNC: Duration = Duration::from_mins(1);
/// How long a write that succeeded is not repeated although the watch does not show it yet.
const SHOWN_AFTER: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// Runs a duty until `stop`; a panic in it is logged and the duty starts anew, the others go on.
pub async fn supervise<C: Controller>(
    make: impl Fn() -> C,
    world: Arc<World>,
    writer: Arc<Writer>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let duty = run(
            make(),
            world.clone(),
            writer.clone(),
            metrics.clone(),
            stop.clone(),
        );
        if let Err(failure) = tokio::spawn(duty).await {
            error!(controller = C::NAME, error = %failure, "panic: the controller starts anew");
            metrics.panicked(C::NAME);
            tokio::time::sleep(RETRY_FIRST).await;
        }
    }
}

async fn run<C: Controller>(
    mut duty: C,
    world: Arc<World>,
    writer: Arc<Writer>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut sources = duty.sources(&world);
    let mut held = Held::default();
    while !stop.is_cancelled() {
        for source in &mut sources {
            source.mark_unchanged();
        }
        let started = Instant::now();
        let decision = duty.decide(&world, started);
        let (mut failed, mut waits) = (false, Vec::new());
        for write in decision.writes {
            if stop.is_cancelled() {
                break;
            }
            if let Some(until) = held.recent.until(&write, started) {
                waits.push(until);
                continue;
            }
            let mut until = held.refused.until(&write, started);
            if until.is_none() {
                until = carry_out(&mut duty, write, &writer, &metrics, &mut held).await;
            }
            failed |= until.is_some();
            waits.extend(until);
        }
        metrics.ran(C::NAME, !failed);
        let pause = pause(decision.again, &waits, Instant::now());
        tokio::select! {
            () = stop.cancelled() => {}
            () = any_change(&mut sources) => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How long nothing is looked at if nothing changes.
fn pause(again: Option<Duration>, waits: &[Instant], now: Instant) -> Duration {
    let waits = waits
        .iter()
        .map(|until| until.saturating_duration_since(now));
    waits.chain(again).fold(RESYNC, Duration::min)
}

/// When it failed, until when it waits.
async fn carry_out<C: Controller>(
    duty: &mut C,
    write: Write,
    writer: &Writer,
    metrics: &Metrics,
    held: &mut Held,
) -> Option<Instant> {
    let outcome = writer.carry_out(&write).await;
    metrics.wrote(write.kind(), outcome.name());
    match outcome {
        Outcome::Done => {
            info!(controller = C::NAME, object = %write.object(), "{}", write.sentence());
            duty.written(&write);
            held.refused.forget(&write);
            held.recent.add(write, Instant::now());
            None
        }
        Outcome::Stale => {
            debug!(controller = C::NAME, object = %write.object(), "the object has changed meanwhile, looking again");
            held.refused.forget(&write);
            None
        }
        Outcome::Failed(failure) => {
            warn!(controller = C::NAME, object = %write.object(), error = chain(&failure), "could not write");
            Some(held.refused.add(write, Instant::now()))
        }
    }
}

/// Writes that are wanted and not made for now.
#[derive(Debug, Default)]
struct Held {
    recent: Recent,
    refused: Refused,
}

/// Writes that succeeded but may not have come back through the watch yet.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Instant, Write)>);

impl Recent {
    /// Until when a write is not repeated, if it is here.
    fn until(&mut self, write: &Write, now: Instant) -> Option<Instant> {
        let over = |until: &Instant| *until <= now;
        while self.0.front().is_some_and(|(until, _)| over(until)) {
            self.0.pop_front();
        }
        let (until, _) = self.0.iter().find(|(_, recent)| recent == write)?;
        Some(*until)
    }

    fn add(&mut self, write: Write, now: Instant) {
        self.0.push_back((now + SHOWN_AFTER, write));
    }
}

/// Writes that failed. Each waits for itself: changes elsewhere do not hasten it, and it delays no other.
#[derive(Debug, Default)]
struct Refused(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    write: Write,
    until: Instant,
    pause: Duration,
}

impl Refused {
    /// Until when a write waits, if it does.
    fn until(&self, write: &Write, now: Instant) -> Option<Instant> {
        let refusal = self.0.iter().find(|refusal| refusal.write == *write)?;
        Some(refusal.until).filter(|until| *until > now)
    }

    /// A write failed; until when it waits.
    fn add(&mut self, write: Write, now: Instant) -> Instant {
        // What was not tried again although it could be is not wanted any more.
        self.0.retain(|refusal| now < refusal.until + RESYNC);
        let before = self.forget(&write);
        let pause = before.map_or(RETRY_FIRST, |before| (before.pause * 2).min(RETRY_LAST));
        let until = now + pause;
        self.0.push(Refusal {
            write,
            until,
            pause,
        });
        until
    }

    fn forget(&mut self, write: &Write) -> Option<Refusal> {
        let at = self.0.iter().position(|refusal| refusal.write == *write)?;
        Some(self.0.swap_remove(at))
    }
}

async fn any_change(sources: &mut [watch::Receiver<u64>]) {
    let changes = sources.iter_mut().map(|s| Box::pin(s.changed()));
    // A source whose cache is gone can only mean that the term is ending; `stop` wakes the loop then.
    if let (Err(_), ..) = select_all(changes).await {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn write(node: &str) -> Write {
        let node = node.to_owned();
        Write::NetworkAvailable { node }
    }

    #[test]
    fn a_write_that_fails_waits_longer_each_time_and_the_others_do_not() {
        let (mut refused, mut now) = (Refused::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(refused.until(&write("a"), now), None);
            let until = refused.add(write("a"), now);
            assert_eq!(refused.until(&write("a"), now), Some(until));
            assert_eq!(refused.until(&write("b"), now), None);
            pauses.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        refused.forget(&write("a"));
        assert_eq!(refused.add(write("a"), now), now + RETRY_FIRST);
    }

    #[test]
    fn of_writes_that_nobody_wants_any_more_nothing_is_kept() {
        let (mut refused, now) = (Refused::default(), Instant::now());
        refused.add(write("a"), now);
        refused.add(write("b"), now + RETRY_FIRST + RESYNC);
        assert_eq!(refused.0.len(), 1);
    }

    #[test]
    fn a_write_that_was_made_is_not_repeated_before_the_watch_could_show_it() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.add(write("a"), now);
        let shown = now + SHOWN_AFTER;
        assert_eq!(recent.until(&write("a"), now), Some(shown));
        assert_eq!(recent.until(&write("b"), now), None);
        assert_eq!(recent.until(&write("a"), shown), None);
    }

    #[test]
    fn what_waits_is_looked_at_when_its_time_comes() {
        let now = Instant::now();
        assert_eq!(pause(None, &[], now), RESYNC);
        assert_eq!(pause(Some(2 * RESYNC), &[], now), RESYNC);
        assert_eq!(pause(Some(SECOND), &[now + 5 * SECOND], now), SECOND);
        let waits = [now + 5 * SECOND, now + 3 * SECOND];
        assert_eq!(pause(Some(RESYNC), &waits, now), 3 * SECOND);
        assert_eq!(pause(None, &[now], now + SECOND), Duration::ZERO);
    }
}
