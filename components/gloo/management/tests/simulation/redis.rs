//! Redis: the store's model of it, and its troubles.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use gloo_api::ClusterName;
use gloo_mesh_mgmt_server::behind::Snapshots;
use gloo_relay::session::Moment;
use gloo_store::{Found, Head, Holder, Seal, StoreError, Word, Write, testing::Model};

use super::random::Random;

/// What all replicas share.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) now: Moment,
    model: Model,
    backup: Model,
    /// When it went away, or lost what it had.
    pub(crate) fell: Moment,
    away_until: Moment,
    restored: Moment,
    pub(crate) slow_until: Moment,
    random: Random,
}

impl Redis {
    pub(crate) fn new(random: Random) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            now: Moment::ZERO,
            model: Model::default(),
            backup: Model::default(),
            fell: Moment::ZERO,
            away_until: Moment::ZERO,
            restored: Moment::ZERO,
            slow_until: Moment::ZERO,
            random,
        }))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.away_until <= self.now
    }

    /// It is away until then.
    pub(crate) fn fall(&mut self, until: Moment) {
        if self.is_up() {
            self.fell = self.now;
        }
        self.away_until = until;
    }

    pub(crate) fn heal(&mut self) {
        (self.away_until, self.slow_until) = (self.now, self.now);
    }

    pub(crate) fn wipe(&mut self) {
        self.model = Model::default();
        self.fell = self.now;
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = self.model.clone();
    }

    /// It comes back with what it had when it was last backed up.
    pub(crate) fn restore(&mut self) {
        self.model = self.backup.clone();
        (self.restored, self.fell) = (self.now, self.now);
    }

    /// It has what replicas know, as far as they had the time to write it.
    pub(crate) fn is_current(&self) -> bool {
        let trouble = self.away_until.max(self.slow_until).max(self.restored);
        trouble == Moment::ZERO || trouble + Duration::from_secs(15) < self.now
    }

    /// `None`: it does not answer in time.
    pub(crate) fn ask(
        &mut self,
        cluster: &ClusterName,
        ours: &Holder,
        when: gloo_store::Moment,
    ) -> Option<Word> {
        let now = self.now;
        self.is_up()
            .then(|| self.model.ask(cluster, ours, when, now))
    }

    fn delay(&mut self) -> Duration {
        if self.slow_until > self.now {
            return self.random.millis(1000);
        }
        let at_once = !self.random.once_in(8);
        self.random.millis(if at_once { 1 } else { 60 })
    }
}

/// A replica's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    redis: Arc<Mutex<Redis>>,
    seal: Seal,
}

impl Connection {
    pub(crate) fn new(redis: Arc<Mutex<Redis>>) -> Self {
        Self {
            redis,
            seal: Seal::new(&[9; 32]).unwrap(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Redis> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question or an answer is under way.
    async fn way(&self, cluster: &ClusterName) -> Result<(), StoreError> {
        let arrives = {
            let mut redis = self.lock();
            redis.now + redis.delay()
        };
        poll_fn(|_| {
            if self.lock().now < arrives {
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        if self.lock().is_up() {
            return Ok(());
        }
        Err(StoreError::Contended {
            cluster: cluster.clone(),
        })
    }
}

impl Snapshots for Connection {
    fn seal(&self) -> &Seal {
        &self.seal
    }

    async fn save(&self, cluster: &ClusterName, write: &Write) -> Result<bool, StoreError> {
        self.way(cluster).await?;
        let whole = self.lock().model.save(&self.seal, cluster, write);
        self.way(cluster).await?;
        Ok(whole)
    }

    async fn load(&self, cluster: &ClusterName, last: Option<&Head>) -> Result<Found, StoreError> {
        self.way(cluster).await?;
        let found = self.lock().model.load(&self.seal, cluster, last);
        self.way(cluster).await?;
        Ok(found)
    }

    async fn head(&self, cluster: &ClusterName) -> Result<Option<Head>, StoreError> {
        self.way(cluster).await?;
        let head = self.lock().model.head(&self.seal, cluster);
        self.way(cluster).await?;
        Ok(head)
    }

    async fn reset(&self) {}
}
