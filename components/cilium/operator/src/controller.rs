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
    let mut recent = Recent::default();
    let mut retry = RETRY_FIRST;
    while !stop.is_cancelled() {
        for source in &mut sources {
            source.mark_unchanged();
        }
        let started = Instant::now();
        let decision = duty.decide(&world, started);
        let mut failed = false;
        for write in decision.writes {
            if recent.contains(&write, started) || stop.is_cancelled() {
                continue;
            }
            failed |= !carry_out(&mut duty, write, &writer, &metrics, &mut recent).await;
        }
        metrics.ran(C::NAME, !failed);
        let mut pause = decision.again.unwrap_or(RESYNC).min(RESYNC);
        retry = if failed {
            (retry * 2).min(RETRY_LAST)
        } else {
            RETRY_FIRST
        };
        if failed {
            pause = pause.min(retry);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = any_change(&mut sources) => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn carry_out<C: Controller>(
    duty: &mut C,
    write: Write,
    writer: &Writer,
    metrics: &Metrics,
    recent: &mut Recent,
) -> bool {
    let outcome = writer.carry_out(&write).await;
    metrics.wrote(write.kind(), outcome.name());
    match outcome {
        Outcome::Done => {
            info!(controller = C::NAME, object = %write.object(), "{}", write.sentence());
            duty.written(&write);
            recent.add(write);
            true
        }
        Outcome::Stale => {
            debug!(controller = C::NAME, object = %write.object(), "the object has changed meanwhile, looking again");
            true
        }
        Outcome::Failed(failure) => {
            warn!(controller = C::NAME, object = %write.object(), error = chain(&failure), "could not write");
            false
        }
    }
}

/// Writes that succeeded but may not have come back through the watch yet.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Instant, Write)>);

impl Recent {
    fn contains(&mut self, write: &Write, now: Instant) -> bool {
        while self
            .0
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > SHOWN_AFTER)
        {
            self.0.pop_front();
        }
        self.0.iter().any(|(_, w)| w == write)
    }

    fn add(&mut self, write: Write) {
        self.0.push_back((Instant::now(), write));
    }
}

async fn any_change(sources: &mut [watch::Receiver<u64>]) {
    let changes = sources.iter_mut().map(|s| Box::pin(s.changed()));
    // A source whose cache is gone can only mean that the term is ending; `stop` wakes the loop then.
    if let (Err(_), ..) = select_all(changes).await {
        std::future::pending::<()>().await;
    }
}
