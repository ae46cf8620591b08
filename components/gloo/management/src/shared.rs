//! The state, and the channels to the streams of agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gloo_api::ClusterName;
use gloo_relay::{
    proto::Refused,
    table::{Room, Source},
};
use tokio::sync::{Notify, watch};

use crate::{memory, metrics::Metrics, state::State};

/// Where a cluster's stream listens.
#[derive(Debug)]
pub struct Channels {
    pub desired: watch::Sender<Option<Source>>,
    pub end: watch::Sender<Option<Refused>>,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            desired: watch::Sender::new(None),
            end: watch::Sender::new(None),
        }
    }
}

/// What Redis is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreState {
    #[default]
    Unknown,
    Ok,
    Away(String),
}

/// Everything the tasks share. The lock is held for computing, never over a wait.
#[derive(Debug)]
pub struct Shared {
    pub instance: String,
    state: Mutex<State>,
    channels: Mutex<BTreeMap<ClusterName, Channels>>,
    pending: Mutex<BTreeSet<ClusterName>>,
    /// Memory for what clusters have.
    pub room: Arc<Room>,
    /// Something changed that the translation must see.
    pub wake: Notify,
    /// Something changed that the store must see.
    pub unsaved: Notify,
    pub store: watch::Sender<StoreState>,
    /// Why the last computation ended in the middle; the output is that of the one before.
    pub broken: watch::Sender<Option<String>>,
    /// Why other replicas are not known of; then each decides by its own streams which agent is served.
    pub fences: watch::Sender<Option<String>>,
    pub metrics: Metrics,
}

impl Shared {
    pub fn new(state: State, instance: String) -> Self {
        Self {
            instance,
            state: Mutex::new(state),
            channels: Mutex::default(),
            pending: Mutex::default(),
            room: Arc::new(memory::room(None)),
            wake: Notify::new(),
            unsaved: Notify::new(),
            store: watch::Sender::new(StoreState::Unknown),
            broken: watch::Sender::new(None),
            fences: watch::Sender::new(None),
            metrics: Metrics::default(),
        }
    }

    /// With so many bytes of memory for the whole process.
    #[must_use]
    pub fn within(mut self, limit: Option<usize>) -> Self {
        self.room = Arc::new(memory::room(limit));
        self
    }

    /// A panic elsewhere does not make the state unusable: it is changed one object at a time.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn channels<T>(&self, cluster: &ClusterName, use_it: impl FnOnce(&Channels) -> T) -> T {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(channels.entry(cluster.clone()).or_default())
    }

    /// The cluster is looked at again with the next computation, which comes soon.
    pub fn look(&self, cluster: &ClusterName) {
        self.pending().insert(cluster.clone());
        self.wake.notify_one();
    }

    /// Something changed that statuses in any cluster may have to say: flows, or what an agent says of objects, whose resources may be
    /// anywhere.
    pub fn look_everywhere(&self, state: &State) {
        self.pending().extend(state.clusters.keys().cloned());
        self.wake.notify_one();
    }

    pub fn pending(&self) -> MutexGuard<'_, BTreeSet<ClusterName>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
