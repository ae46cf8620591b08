//! Keeps Redis behind the state, and the state up with other replicas.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use gloo_api::ClusterName;
use gloo_relay::table::Objects;
use gloo_store::{Found, Head, Seal, Store, StoreError, Unsaved, Write, prepare};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::shared::{Shared, StoreState};

/// How often snapshots of clusters that are connected elsewhere are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Writes of a burst go together.
const GATHER: Duration = Duration::from_millis(500);

/// Where snapshots are kept: Redis, or a test's model of it.
pub trait Snapshots: Send + Sync {
    fn seal(&self) -> &Seal;
    /// As [`Store::save`].
    fn save(
        &self,
        cluster: &ClusterName,
        write: &Write,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// As [`Store::load`].
    fn load(
        &self,
        cluster: &ClusterName,
        last: Option<&Head>,
    ) -> impl Future<Output = Result<Found, StoreError>> + Send;
    /// As [`Store::head`].
    fn head(
        &self,
        cluster: &ClusterName,
    ) -> impl Future<Output = Result<Option<Head>, StoreError>> + Send;
    /// Lets go of the connection.
    fn reset(&self) -> impl Future<Output = ()> + Send;
}

impl Snapshots for Store {
    fn seal(&self) -> &Seal {
        self.seal()
    }

    async fn save(&self, cluster: &ClusterName, write: &Write) -> Result<bool, StoreError> {
        self.save(cluster, write).await
    }

    async fn load(&self, cluster: &ClusterName, last: Option<&Head>) -> Result<Found, StoreError> {
        self.load(cluster, last).await
    }

    async fn head(&self, cluster: &ClusterName) -> Result<Option<Head>, StoreError> {
        self.head(cluster).await
    }

    async fn reset(&self) {
        self.reset().await;
    }
}

/// Runs until `closing`, and once more after it, so that what the last agents said is kept.
pub async fn run(shared: Arc<Shared>, store: Store, closing: CancellationToken) {
    let mut behind = Behind::new(shared.clone(), store, rand::random);
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
        behind.round(Timestamp::now()).await;
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

/// The work, and what is known of Redis.
pub struct Behind<S> {
    shared: Arc<Shared>,
    store: S,
    random: fn() -> [u8; 12],
    /// What it has of each cluster, as last read or written here.
    heads: BTreeMap<ClusterName, Head>,
    /// Clusters whose objects cannot be made entries, which was said.
    unpacked: BTreeSet<ClusterName>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Behind<S> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Behind")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
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

impl<S: Snapshots> Behind<S> {
    /// `random` is what epochs and seals are made of.
    pub fn new(shared: Arc<Shared>, store: S, random: fn() -> [u8; 12]) -> Self {
        Self {
            shared,
            store,
            random,
            heads: BTreeMap::new(),
            unpacked: BTreeSet::new(),
        }
    }

    /// Looks at every cluster once, beginning `now`.
    pub async fn round(&mut self, now: Timestamp) {
        match self.clusters(now).await {
            Ok(()) => tell(&self.shared, StoreState::Ok),
            Err(error) => {
                self.store.reset().await;
                self.shared.metrics.redis_errors.inc();
                tell(&self.shared, StoreState::Away(sentence(&error)));
            }
        }
    }

    async fn clusters(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let names: Vec<_> = {
            let state = self.shared.state();
            let registered = state
                .clusters
                .iter()
                .filter(|(_, c)| c.registration.is_some());
            registered.map(|(name, _)| name.clone()).collect()
        };
        for name in names {
            let done = match step(&self.shared, &name) {
                Step::Save => self.save(&name, now).await,
                Step::Check => self.check(&name, now).await,
                Step::Agree => self.agree(&name, now).await,
                Step::Nothing => Ok(()),
            };
            match done {
                Err(error) if error.is_of_the_cluster() => {
                    self.shared.metrics.redis_errors.inc();
                    if self.unpacked.insert(name) {
                        let reason = sentence(&error);
                        tracing::warn!(reason, "Redis keeps what it has of the cluster");
                    }
                }
                done => {
                    done?;
                    self.unpacked.remove(&name);
                }
            }
        }
        Ok(())
    }

    /// Redis may have been wiped, or come back with an old snapshot, without a connection that broke.
    async fn check(&self, name: &ClusterName, now: Timestamp) -> Result<(), StoreError> {
        let last = self.heads.get(name);
        let same = matches!(self.store.load(name, last).await?, Found::Same);
        if same {
            agreed(&self.shared, name, now);
        } else {
            give_back(&self.shared, name);
            self.shared.unsaved.notify_one();
        }
        Ok(())
    }

    async fn save(&mut self, name: &ClusterName, now: Timestamp) -> Result<(), StoreError> {
        let (objects, unsaved) = {
            let mut state = self.shared.state();
            let Some(cluster) = state.clusters.get_mut(name) else {
                return Ok(());
            };
            let unsaved = std::mem::take(&mut cluster.unsaved);
            (cluster.objects.clone(), unsaved)
        };
        let written = async {
            let latest = match unsaved {
                Unsaved::All => Some(self.latest(name, now).await?),
                Unsaved::Keys(_) | Unsaved::Nothing => None,
            };
            let last = latest.as_ref().or_else(|| self.heads.get(name));
            let write = prepare(
                self.store.seal(),
                name,
                &objects,
                &unsaved,
                last,
                self.random,
            )?;
            let whole = self.store.save(name, &write).await?;
            Ok::<_, StoreError>(whole.then_some(write.head))
        };
        match written.await {
            Ok(Some(head)) => {
                self.heads.insert(name.clone(), head);
                agreed(&self.shared, name, now);
            }
            Ok(None) => {
                give_back(&self.shared, name);
                self.shared.unsaved.notify_one();
            }
            Err(error) => {
                give_back(&self.shared, name);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Hands over what the last agent here said and Redis does not have, and takes what another replica wrote since.
    async fn agree(&mut self, name: &ClusterName, now: Timestamp) -> Result<(), StoreError> {
        let (is_known, unsaved) = {
            let state = self.shared.state();
            let cluster = state.clusters.get(name);
            let unsaved = cluster.is_some_and(|c| c.unsaved != Unsaved::Nothing);
            (cluster.is_some_and(|c| c.known), unsaved)
        };
        let last = self.heads.get(name);
        match self.store.load(name, last).await? {
            Found::Same if !unsaved => {
                agreed(&self.shared, name, now);
                return Ok(());
            }
            Found::Same => {}
            Found::Nothing if !is_known => {
                agreed(&self.shared, name, now);
                return Ok(());
            }
            Found::Refused if !unsaved => {
                self.shared.metrics.refused_entries.inc();
                tracing::warn!(cluster = %name, "what Redis has of the cluster is not ours or not whole, and is ignored; its agent sends it anew");
                return Ok(());
            }
            Found::Snapshot(head, objects) if is_news(&head, last, unsaved) => {
                if restore(&self.shared, name, objects) {
                    self.heads.insert(name.clone(), head);
                    agreed(&self.shared, name, now);
                    self.shared.look(name);
                }
                return Ok(());
            }
            // Wiped, in pieces, or back with an older state of what we know.
            Found::Nothing | Found::Refused | Found::Snapshot(..) => give_back(&self.shared, name),
        }
        self.save(name, now).await
    }

    /// What a new epoch counts on from: what Redis has, or had when it was last seen, and the clock. With Redis empty and nobody who
    /// saw it before, a backup of it must still be the older one.
    async fn latest(&self, name: &ClusterName, now: Timestamp) -> Result<Head, StoreError> {
        let there = self.store.head(name).await?;
        let known = self.heads.get(name).cloned();
        let mut clock = Head::default();
        clock.revision = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let heads = [known, there].into_iter().flatten().chain([clock]);
        Ok(heads.max_by_key(|head| head.revision).unwrap_or_default())
    }
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

/// What is known of the cluster is what every replica knew `now`.
fn agreed(shared: &Shared, name: &ClusterName, now: Timestamp) {
    if let Some(cluster) = shared.state().clusters.get_mut(name) {
        cluster.agreed = Some(now);
    }
}

fn give_back(shared: &Shared, name: &ClusterName) {
    if let Some(cluster) = shared.state().clusters.get_mut(name) {
        cluster.unsaved = Unsaved::All;
    }
}

/// Whether Redis knows something newer, where `last` is what it had. Revisions count on over epochs: a Redis that comes back with an
/// old epoch is not believed. While something is `unsaved`, only what another replica wrote is news: anything else may be our own
/// write whose answer was lost.
fn is_news(head: &Head, last: Option<&Head>, unsaved: bool) -> bool {
    match last {
        Some(last) if head.epoch != last.epoch => head.revision > last.revision,
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
            (head(2, 6), Some(&last), false, true),
            (head(2, 6), Some(&last), true, true),
            (head(2, 4), Some(&last), false, false),
            (head(2, 4), Some(&last), true, false),
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
