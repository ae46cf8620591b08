//! What each cluster may have in Redis.

use std::collections::HashMap;

use crate::{
    batch::Entry,
    key::StreamKey,
    retention::Retention,
    room::{Admitted, Full, Limits, Room},
};

/// The rooms of all clusters that have something in Redis.
#[derive(Debug)]
pub struct Quota {
    limits: Limits,
    clusters: HashMap<String, Room>,
    /// The second that was last looked at for what Redis keeps no longer.
    looked: u64,
}

/// More names of clusters than this are a flood of their own.
const MOST_CLUSTERS: usize = 1000;

impl Quota {
    /// The same limits for each cluster.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clusters: HashMap::new(),
            looked: 0,
        }
    }

    /// Streams in use, of all clusters.
    pub fn streams(&self) -> usize {
        self.clusters.values().map(Room::streams).sum()
    }

    /// Bytes each cluster has in Redis.
    pub fn bytes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.clusters
            .iter()
            .map(|(cluster, room)| (cluster.as_str(), room.bytes()))
    }

    /// Whether a record of `length` bytes for this stream is within its cluster's limits. Whoever is told that it is
    /// [settles](Self::settle) it later.
    pub fn admit(
        &mut self,
        cluster: &str,
        key: &StreamKey,
        retention: &Retention,
        length: usize,
        now: u64,
    ) -> Result<Admitted, Full> {
        if !self.clusters.contains_key(cluster) && self.clusters.len() >= MOST_CLUSTERS {
            return Err(Full::Clusters {
                limit: MOST_CLUSTERS,
            });
        }
        let room = self.clusters.entry(cluster.to_owned()).or_default();
        room.admit(self.limits, key, retention, length, now)
    }

    /// A record that was admitted is in Redis now, or will not come.
    pub fn settle(&mut self, entry: &Entry, stored: bool) {
        if let Some(room) = self.clusters.get_mut(&entry.cluster) {
            room.settle(&entry.key, &entry.retention, entry.admitted, stored);
        }
    }

    /// Takes off what Redis keeps no longer, once a second, and names the clusters of which nothing is left.
    pub fn forget(&mut self, now: u64) -> Vec<String> {
        if now == self.looked {
            return Vec::new();
        }
        self.looked = now;
        let gone = self.clusters.extract_if(|_, room| room.forget(now));
        gone.map(|(cluster, _)| cluster).collect()
    }
}

#[cfg(test)]
mod tests;
