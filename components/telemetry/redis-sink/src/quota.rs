//! How many streams a cluster may have.

use std::collections::HashMap;

use crate::{key::StreamKey, retention::Retention};

/// Streams in use, per cluster. A stream nobody wrote to for as long as Redis keeps it counts no longer.
#[derive(Debug)]
pub struct Quota {
    limit: u32,
    /// Seconds a stream counts after its last record.
    time: u64,
    clusters: HashMap<String, HashMap<StreamKey, u64>>,
}

/// More names of clusters than this are a flood of their own.
const MOST_CLUSTERS: usize = 1000;

impl Quota {
    /// `limit` streams for each cluster.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            time: Retention::of("").time.as_secs(),
            clusters: HashMap::new(),
        }
    }

    /// Streams one cluster may have.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Streams in use, of all clusters.
    pub fn streams(&self) -> usize {
        self.clusters.values().map(HashMap::len).sum()
    }

    /// Whether a record for this stream is within its cluster's quota; the stream counts from then on.
    pub fn admits(&mut self, cluster: &str, key: &StreamKey, now: u64) -> bool {
        if !self.clusters.contains_key(cluster) {
            self.forget(now);
            if self.clusters.len() >= MOST_CLUSTERS {
                return false;
            }
        }
        let (limit, time) = (self.limit as usize, self.time);
        let streams = self.clusters.entry(cluster.to_owned()).or_default();
        if let Some(last) = streams.get_mut(key) {
            *last = now;
            return true;
        }
        if streams.len() >= limit {
            streams.retain(|_, last| now.saturating_sub(*last) < time);
        }
        if streams.len() >= limit {
            return false;
        }
        streams.insert(key.clone(), now);
        true
    }

    fn forget(&mut self, now: u64) {
        let time = self.time;
        self.clusters.retain(|_, streams| {
            streams.retain(|_, last| now.saturating_sub(*last) < time);
            !streams.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> StreamKey {
        StreamKey::new(&[("a", "west"), ("b", name)]).unwrap()
    }

    #[test]
    fn a_full_quota_still_admits_the_streams_it_knows() {
        let mut quota = Quota::new(1);
        assert!(quota.admits("west", &key("a"), 0));
        assert!(!quota.admits("west", &key("b"), 1));
        assert!(quota.admits("west", &key("a"), 2));
    }

    #[test]
    fn a_stream_that_ended_makes_room() {
        let mut quota = Quota::new(1);
        assert!(quota.admits("west", &key("a"), 0));
        assert!(!quota.admits("west", &key("b"), 1799));
        assert!(quota.admits("west", &key("b"), 1800));
        assert_eq!(quota.streams(), 1);
    }

    #[test]
    fn a_flood_of_clusters_ends_somewhere() {
        let mut quota = Quota::new(5);
        let admitted = (0..5000)
            .filter(|n| quota.admits(&n.to_string(), &key("a"), 0))
            .count();
        assert_eq!(admitted, MOST_CLUSTERS);
    }
}
