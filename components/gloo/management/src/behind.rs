//! Keeps Redis behind the state, and the state up with other replicas.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gloo_api::ClusterName;
use gloo_store::{Found, Head, Store, StoreError, Unsaved, prepare};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::shared::{Shared, StoreState};

/// How often snapshots of clusters that are connected elsewhere are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Writes of a burst go together.
const GATHER: Duration = Duration::from_millis(500);

/// Runs until `closing`, and once more after it, so that what the last agents said is kept.
pub async fn run(shared: Arc<Shared>, store: Store, closing: CancellationToken) {
    let mut heads = BTreeMap::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = closing.is_cancelled();
        tokio::select! {
            // What the last agents say while the streams close is written, too.
            () = closing.cancelled() => tokio::time::sleep(GATHER).await,
            () = shared.unsaved.notified() => tokio::time::sleep(GATHER).await,
            _ = look.tick() => {}
        }
        match round(&shared, &store, &mut heads).await {
            Ok(()) => tell(&shared, StoreState::Ok),
            Err(error) => {
                store.reset().await;
                heads.clear();
                shared.metrics.redis_errors.inc();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let why = format!("{error}: {}", cause.unwrap_or_default());
                tell(&shared, StoreState::Away(why));
            }
        }
        if last {
            return;
        }
    }
}

fn tell(shared: &Shared, now: StoreState) {
    shared.store.send_if_modified(|before| {
        let kind = std::mem::discriminant(before) != std::mem::discriminant(&now);
        if kind {
            match &now {
                StoreState::Away(why) => {
                    tracing::warn!(
                        reason = why,
                        "Redis is away; everything goes on from memory"
                    );
                }
                StoreState::Ok | StoreState::Unknown => tracing::info!("Redis serves"),
            }
        }
        let changed = *before != now;
        *before = now;
        changed
    });
}

/// What to do about a cluster.
enum Step {
    Save(Unsaved),
    /// Nothing is unsaved; whether it is still there, only Redis knows.
    Check,
    Load,
    Nothing,
}

async fn round(
    shared: &Shared,
    store: &Store,
    heads: &mut BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    let names: Vec<_> = {
        let state = shared.state();
        let registered = state
            .clusters
            .iter()
            .filter(|(_, c)| c.registration.is_some());
        registered.map(|(name, _)| name.clone()).collect()
    };
    for name in names {
        match step(shared, &name) {
            Step::Save(unsaved) => {
                let saved = save(shared, store, &name, unsaved, heads).await;
                if let Err(error) = saved {
                    give_back(shared, &name);
                    return Err(error);
                }
            }
            Step::Check => check(shared, store, &name, heads).await?,
            Step::Load => load(shared, store, &name, heads).await?,
            Step::Nothing => {}
        }
    }
    Ok(())
}

/// A cluster that is connected here is ours to write; of any other Redis may know more.
fn step(shared: &Shared, name: &ClusterName) -> Step {
    let mut state = shared.state();
    let Some(cluster) = state.clusters.get_mut(name) else {
        return Step::Nothing;
    };
    match &cluster.connection {
        Some(connection) if connection.warmed => match std::mem::take(&mut cluster.unsaved) {
            Unsaved::Nothing => Step::Check,
            unsaved => Step::Save(unsaved),
        },
        // Its agent is about to say all it has.
        Some(_) => Step::Nothing,
        None => Step::Load,
    }
}

fn give_back(shared: &Shared, name: &ClusterName) {
    if let Some(cluster) = shared.state().clusters.get_mut(name) {
        cluster.unsaved = Unsaved::All;
    }
}

/// Redis may have been wiped, or come back with an old snapshot, without a connection that broke.
async fn check(
    shared: &Shared,
    store: &Store,
    name: &ClusterName,
    heads: &BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    let last = heads.get(name);
    let same = matches!(store.load(name, last).await?, Found::Same);
    if !same {
        give_back(shared, name);
        shared.unsaved.notify_one();
    }
    Ok(())
}

async fn save(
    shared: &Shared,
    store: &Store,
    name: &ClusterName,
    unsaved: Unsaved,
    heads: &mut BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    let objects = {
        let state = shared.state();
        let cluster = state.clusters.get(name);
        cluster
            .map(|cluster| cluster.objects.clone())
            .unwrap_or_default()
    };
    let last = heads.get(name);
    let write = prepare(store.seal(), name, &objects, &unsaved, last, rand::random)?;
    if store.save(name, &write).await? {
        heads.insert(name.clone(), write.head);
    } else {
        give_back(shared, name);
        shared.unsaved.notify_one();
    }
    Ok(())
}

async fn load(
    shared: &Shared,
    store: &Store,
    name: &ClusterName,
    heads: &mut BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    match store.load(name, heads.get(name)).await? {
        Found::Nothing | Found::Same => {}
        Found::Refused => {
            shared.metrics.refused_entries.inc();
            tracing::warn!(cluster = %name, "what Redis has of the cluster is not ours or not whole, and is ignored; its agent sends it anew");
        }
        Found::Snapshot(head, objects) => {
            let connected = {
                let mut state = shared.state();
                let connected = state
                    .clusters
                    .get(name)
                    .is_some_and(|c| c.connection.is_some());
                if !connected {
                    state.restore(name, objects);
                }
                connected
            };
            if !connected {
                heads.insert(name.clone(), head);
                shared.look(name);
            }
        }
    }
    Ok(())
}
