//! Computes what changed, and hands it to the streams.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use gloo_api::ClusterName;
use gloo_relay::table::{Objects, Source};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{push, shared::Shared, state::Cluster};

/// Changes come in bursts; one computation serves those of this time.
const GATHER: Duration = Duration::from_millis(20);
/// Held removals and a cold start are looked at again without a change.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs until `closing`.
pub async fn run(shared: Arc<Shared>, closing: CancellationToken) {
    let mut again = interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = shared.wake.notified() => tokio::time::sleep(GATHER).await,
            _ = again.tick() => {}
        }
        let worker = shared.clone();
        // Computing may take a while; the streams go on meanwhile.
        let computed =
            tokio::task::spawn_blocking(move || compute(&worker, Timestamp::now())).await;
        let broken = computed.err().map(|error| error.to_string());
        if let Some(reason) = &broken {
            tracing::error!(
                reason,
                "a computation ended in the middle; the output stays as it was"
            );
        }
        shared.broken.send_replace(broken);
    }
}

/// One computation. Only what it takes is measured by this process' clock.
pub fn compute(shared: &Shared, now: Timestamp) {
    let started = Instant::now();
    let pending = std::mem::take(&mut *shared.pending());
    let mut state = shared.state();
    let mut touched = state.settle();
    let translated = started.elapsed();
    touched.extend(pending);
    if state.cold().is_some() {
        drop(state);
        shared.pending().extend(touched);
        return;
    }
    let waits = |c: &Cluster| c.held.is_some() || c.waits.is_some();
    let held = state.clusters.iter().filter(|(_, c)| waits(c));
    touched.extend(held.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>());
    if touched.is_empty() {
        return;
    }
    for name in &touched {
        // What a cluster is to have is decided by the replica that serves it, and by no other at the same time; and only once its
        // agent has said all it has, for what is known here may be of long ago.
        let served = |cluster: &Cluster| cluster.connection.as_ref().is_some_and(|c| c.warmed);
        if !state.clusters.get(name).is_some_and(served) {
            continue;
        }
        let changed = push::decide(&mut state, name, now);
        let desired = state.clusters.get(name).and_then(|c| c.desired.as_ref());
        if let (true, Some(desired)) = (changed, desired) {
            send(shared, name, desired);
        }
    }
    drop(state);
    shared.metrics.translated(translated, started.elapsed());
}

fn send(shared: &Shared, name: &ClusterName, desired: &Objects) {
    shared.channels(name, |channels| {
        channels
            .desired
            .send_if_modified(|source| merge(source, desired));
    });
}

/// Makes the source hold exactly these objects.
fn merge(source: &mut Option<Source>, desired: &Objects) -> bool {
    let mut changed = source.is_none();
    let source = source.get_or_insert_default();
    let gone: Vec<_> = source
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !desired.contains_key(*key))
        .cloned()
        .collect();
    for key in gone {
        changed |= source.remove(&key);
    }
    for (key, bytes) in desired {
        changed |= source.set(key.clone(), bytes.clone());
    }
    changed
}
