//! Keeps Redis behind the state, and the state up with other replicas.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use gloo_api::ClusterName;
use gloo_relay::table::Objects;
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
    let mut known = Known::default();
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
        match round(&shared, &store, &mut known).await {
            Ok(()) => tell(&shared, StoreState::Ok),
            Err(error) => {
                store.reset().await;
                shared.metrics.redis_errors.inc();
                tell(&shared, StoreState::Away(sentence(&error)));
            }
        }
        if last {
            return;
        }
    }
}

fn sentence(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
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

/// What is known of Redis.
#[derive(Default)]
struct Known {
    /// What it has of each cluster, as last read or written here.
    heads: BTreeMap<ClusterName, Head>,
    /// Clusters whose objects cannot be made entries, which was said.
    unpacked: BTreeSet<ClusterName>,
}

/// What to do about a cluster.
enum Step {
    Save,
    /// Nothing is unsaved; whether it is still there, only Redis knows.
    Check,
    /// It is not connected here: of it Redis may know more, or less.
    Agree,
    Nothing,
}

async fn round(shared: &Shared, store: &Store, known: &mut Known) -> Result<(), StoreError> {
    let names: Vec<_> = {
        let state = shared.state();
        let registered = state
            .clusters
            .iter()
            .filter(|(_, c)| c.registration.is_some());
        registered.map(|(name, _)| name.clone()).collect()
    };
    for name in names {
        let done = match step(shared, &name) {
            Step::Save => save(shared, store, &name, &mut known.heads).await,
            Step::Check => check(shared, store, &name, &known.heads).await,
            Step::Agree => agree(shared, store, &name, &mut known.heads).await,
            Step::Nothing => Ok(()),
        };
        match done {
            Err(error) if error.is_of_the_cluster() => {
                shared.metrics.redis_errors.inc();
                if known.unpacked.insert(name) {
                    let reason = sentence(&error);
                    tracing::warn!(reason, "Redis keeps what it has of the cluster");
                }
            }
            done => {
                done?;
                known.unpacked.remove(&name);
            }
        }
    }
    Ok(())
}

/// A cluster that is connected here is ours to write.
fn step(shared: &Shared, name: &ClusterName) -> Step {
    let state = shared.state();
    let Some(cluster) = state.clusters.get(name) else {
        return Step::Nothing;
    };
    match &cluster.connection {
        Some(connection) if connection.warmed => match cluster.unsaved {
            Unsaved::Nothing => Step::Check,
            Unsaved::Keys(_) | Unsaved::All => Step::Save,
        },
        // Its agent is about to say all it has.
        Some(_) => Step::Nothing,
        None => Step::Agree,
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
    heads: &mut BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    let (objects, unsaved) = {
        let mut state = shared.state();
        let Some(cluster) = state.clusters.get_mut(name) else {
            return Ok(());
        };
        let unsaved = std::mem::take(&mut cluster.unsaved);
        (cluster.objects.clone(), unsaved)
    };
    let written = async {
        let last = heads.get(name);
        let write = prepare(store.seal(), name, &objects, &unsaved, last, rand::random)?;
        let whole = store.save(name, &write).await?;
        Ok::<_, StoreError>(whole.then_some(write.head))
    };
    match written.await {
        Ok(Some(head)) => drop(heads.insert(name.clone(), head)),
        Ok(None) => {
            give_back(shared, name);
            shared.unsaved.notify_one();
        }
        Err(error) => {
            give_back(shared, name);
            return Err(error);
        }
    }
    Ok(())
}

/// Hands over what the last agent here said and Redis does not have, and takes what another replica wrote since.
async fn agree(
    shared: &Shared,
    store: &Store,
    name: &ClusterName,
    heads: &mut BTreeMap<ClusterName, Head>,
) -> Result<(), StoreError> {
    let (is_known, unsaved) = {
        let state = shared.state();
        let cluster = state.clusters.get(name);
        let unsaved = cluster.is_some_and(|c| c.unsaved != Unsaved::Nothing);
        (cluster.is_some_and(|c| c.known), unsaved)
    };
    let last = heads.get(name);
    match store.load(name, last).await? {
        Found::Same if !unsaved => return Ok(()),
        Found::Same => {}
        Found::Nothing if !is_known => return Ok(()),
        Found::Refused if !unsaved => {
            shared.metrics.refused_entries.inc();
            tracing::warn!(cluster = %name, "what Redis has of the cluster is not ours or not whole, and is ignored; its agent sends it anew");
            return Ok(());
        }
        Found::Snapshot(head, objects) if is_news(&head, last, unsaved) => {
            if restore(shared, name, objects) {
                heads.insert(name.clone(), head);
                shared.look(name);
            }
            return Ok(());
        }
        // Wiped, in pieces, or back with an older state of what we know.
        Found::Nothing | Found::Refused | Found::Snapshot(..) => give_back(shared, name),
    }
    save(shared, store, name, heads).await
}

/// Whether Redis knows something newer, where `last` is what it had. While something is `unsaved`, that is only what another replica
/// wrote: anything else may be of before, or our own write whose answer was lost.
fn is_news(head: &Head, last: Option<&Head>, unsaved: bool) -> bool {
    match last {
        Some(last) if head.epoch != last.epoch => true,
        Some(last) => !unsaved && head.revision >= last.revision,
        None => !unsaved,
    }
}

/// `false`: it has connected meanwhile, and its agent counts more.
fn restore(shared: &Shared, name: &ClusterName, objects: Objects) -> bool {
    let mut state = shared.state();
    let Some(cluster) = state.clusters.get(name) else {
        return false;
    };
    if cluster.connection.is_some() {
        return false;
    }
    let said = !cluster.said.is_empty();
    shared.room.keep(name, &objects);
    state.restore(name, objects);
    if said {
        shared.look_everywhere(&state);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(epoch: u64, revision: u64) -> Head {
        let mut head = Head::default();
        (head.epoch, head.revision) = (epoch, revision);
        head
    }

    #[test]
    fn what_was_said_here_and_not_saved_gives_way_to_another_replicas_word_only() {
        let last = head(1, 5);
        for (found, last, unsaved, news) in [
            (head(1, 6), Some(&last), false, true),
            (head(1, 4), Some(&last), false, false),
            (head(2, 1), Some(&last), false, true),
            (head(2, 1), Some(&last), true, true),
            (head(1, 6), Some(&last), true, false),
            (head(1, 6), None, true, false),
            (head(1, 6), None, false, true),
        ] {
            assert_eq!(
                is_news(&found, last, unsaved),
                news,
                "{found:?} {last:?} {unsaved}"
            );
        }
    }
}
