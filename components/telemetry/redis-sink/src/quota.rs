//! How many streams a cluster may have.

use std::collections::HashMap;

use crate::{key::StreamKey, retention::Retention};

/// Streams in use, per cluster. A stream nobody wrote to for as long as Redis keeps it counts no longer.
#[derive(Debug)]
pub struct Quota {
    limit: u32,
    /// The second from which each stream counts no longer.
    clusters: HashMap<String, HashMap<StreamKey, u64>>,
}

/// More names of clusters than this are a flood of their own.
const MOST_CLUSTERS: usize = 1000;

impl Quota {
    /// `limit` streams for each cluster.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
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
    pub fn admits(
        &mut self,
        cluster: &str,
        key: &StreamKey,
        retention: &Retention,
        now: u64,
    ) -> bool {
        if !self.clusters.contains_key(cluster) {
            self.forget(now);
            if self.clusters.len() >= MOST_CLUSTERS {
                return false;
            }
        }
        let (limit, until) = (self.limit as usize, now + retention.time.as_secs());
        let streams = self.clusters.entry(cluster.to_owned()).or_default();
        if let Some(known) = streams.get_mut(key) {
            *known = until;
            return true;
        }
        if streams.len() >= limit {
            streams.retain(|_, until| now < *until);
        }
        if streams.len() >= limit {
            return false;
        }
        streams.insert(key.clone(), until);
        true
    }

    fn forget(&mut self, now: u64) {
        self.clusters.retain(|_, streams| {
            streams.retain(|_, until| now < *until);
            !streams.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(quota: &mut Quota, name: &str, source: &str, now: u64) -> bool {
        quota.admits("west", &key(name), &Retention::of(source), now)
    }

    fn key(name: &str) -> StreamKey {
        StreamKey::new(&[("a", "west"), ("b", name)]).unwrap()
    }

    #[test]
    fn a_full_quota_still_admits_the_streams_it_knows() {
        let mut quota = Quota::new(1);
        assert!(admits(&mut quota, "a", "", 0));
        assert!(!admits(&mut quota, "b", "", 1));
        assert!(admits(&mut quota, "a", "", 2));
    }

    #[test]
    fn a_stream_makes_room_once_redis_keeps_it_no_longer() {
        for (source, kept) in [("ui", 1800), ("analyzer", 21_600)] {
            let mut quota = Quota::new(1);
            assert!(admits(&mut quota, "a", source, 0));
            assert!(!admits(&mut quota, "b", "ui", kept - 1), "{source}");
            assert!(admits(&mut quota, "b", "ui", kept), "{source}");
            assert_eq!(quota.streams(), 1);
        }
    }

    #[test]
    fn a_flood_of_clusters_ends_somewhere() {
        let mut quota = Quota::new(5);
        let admitted = (0..5000)
            .filter(|n| quota.admits(&n.to_string(), &key("a"), &Retention::of(""), 0))
            .count();
        assert_eq!(admitted, MOST_CLUSTERS);
    }
}
