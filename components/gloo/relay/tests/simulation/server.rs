//! The management server: real sessions, a modelled store.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_relay::{
    key::ObjectKey,
    session::{Claim, Moment, ServerSession, outranks},
    table::{Changes, Incoming, Objects, Source},
};

use super::cluster::policy;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Right,
    /// What it has not heard of is empty to it.
    NoSafeMode,
    /// What it tells agents may rest on what a restart forgets.
    PushesBeforeItStores,
}

/// The server's end of a stream.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) cluster: usize,
    pub(crate) session: ServerSession,
    pub(crate) claim: Option<Claim>,
}

/// One life of the server, and Redis, which outlives it.
#[derive(Debug)]
pub(crate) struct Server {
    variant: Variant,
    clusters: usize,
    pub(crate) streams: BTreeMap<usize, Served>,
    memory: BTreeMap<usize, Objects>,
    redis: BTreeMap<usize, Objects>,
    desired: Option<Source>,
}

impl Server {
    pub(crate) fn new(clusters: usize, variant: Variant) -> Self {
        Self {
            variant,
            clusters,
            streams: BTreeMap::new(),
            memory: BTreeMap::new(),
            redis: BTreeMap::new(),
            desired: None,
        }
    }

    /// It starts again, with what Redis has.
    pub(crate) fn restart(&mut self, wiped: bool) {
        if wiped {
            self.redis.clear();
        }
        let redis = std::mem::take(&mut self.redis);
        *self = Self {
            memory: redis.clone(),
            redis,
            ..Self::new(self.clusters, self.variant)
        };
        self.translate();
    }

    pub(crate) fn accept(&mut self, stream: usize, cluster: usize, now: Moment) {
        let served = Served {
            cluster,
            session: ServerSession::new(now),
            claim: None,
        };
        self.streams.insert(stream, served);
    }

    /// The stream the new one takes over from, or why it does not.
    pub(crate) fn fence(&self, stream: usize, claim: &Claim) -> Result<Option<usize>, ()> {
        let cluster = self.streams[&stream].cluster;
        let live = self.streams.iter().find_map(|(number, served)| {
            let other = served
                .claim
                .as_ref()
                .filter(|_| served.cluster == cluster)?;
            Some((*number, other))
        });
        match live {
            None => Ok(None),
            Some((number, other)) if outranks(claim, other) => Ok(Some(number)),
            Some(_) => Err(()),
        }
    }

    /// What is known of the cluster from before.
    pub(crate) fn held(&self, cluster: usize) -> Incoming {
        self.memory
            .get(&cluster)
            .map_or_else(Incoming::default, |objects| {
                Incoming::default().holding(objects.clone())
            })
    }

    pub(crate) fn observed(&mut self, cluster: usize, changes: Changes) {
        let objects = self.memory.entry(cluster).or_default();
        for key in &changes.deletes {
            objects.remove(key);
        }
        objects.extend(changes.upserts);
        if self.variant == Variant::PushesBeforeItStores {
            self.translate();
        }
    }

    /// Redis has what memory has. Only then is anything made of it: what agents are told never rests on what can be forgotten.
    pub(crate) fn store(&mut self) {
        self.redis.clone_from(&self.memory);
        self.translate();
    }

    fn translate(&mut self) {
        // Safe mode: a cluster nobody heard of may hold the reason for a policy of another one.
        if self.memory.len() < self.clusters && self.variant != Variant::NoSafeMode {
            return;
        }
        let wanted: BTreeSet<ObjectKey> = self
            .memory
            .values()
            .flat_map(|objects| objects.keys().map(policy))
            .collect();
        let desired = self.desired.get_or_insert_default();
        let gone: Vec<_> = desired
            .iter()
            .map(|(key, _)| key.clone())
            .filter(|key| !wanted.contains(key))
            .collect();
        for key in &gone {
            desired.remove(key);
        }
        for key in wanted {
            desired.set(key, Bytes::from_static(b"{}"));
        }
    }

    pub(crate) fn desired(&self) -> Option<&Source> {
        self.desired.as_ref()
    }
}
