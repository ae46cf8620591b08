//! What the sink says about itself.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Seconds a batch takes; a healthy Redis answers within a few milliseconds.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 3.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabel {
    cluster: String,
}

impl ClusterLabel {
    fn of(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
        }
    }
}

/// All series of the sink.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Family<ResultLabel, Counter>,
    errors: Family<KindLabel, Counter>,
    seconds: Histogram,
    streams: Gauge,
    bytes: Family<ClusterLabel, Gauge>,
    full: Family<ClusterLabel, Counter>,
    up: Gauge,
    /// A batch was sent back, and none was taken since.
    owing: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            records: Family::default(),
            errors: Family::default(),
            seconds: Histogram::new(SECONDS),
            streams: Gauge::default(),
            bytes: Family::default(),
            full: Family::default(),
            up: Gauge::default(),
            owing: AtomicBool::new(false),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "redis_sink_records",
            "Log records: stored, known already, or refused",
            metrics.records.clone(),
        );
        registry.register(
            "redis_sink_redis_errors",
            "Batches that Redis did not take, by what failed",
            metrics.errors.clone(),
        );
        registry.register(
            "redis_sink_write_seconds",
            "Time Redis took for a batch",
            metrics.seconds.clone(),
        );
        registry.register(
            "redis_sink_streams",
            "Streams in use, of all clusters",
            metrics.streams.clone(),
        );
        registry.register(
            "redis_sink_cluster_bytes",
            "Bytes a cluster has in Redis",
            metrics.bytes.clone(),
        );
        registry.register(
            "redis_sink_cluster_refused_records",
            "Log records refused because their cluster has as much in Redis as it may",
            metrics.full.clone(),
        );
        registry.register(
            "redis_sink_redis_up",
            "1 while Redis answers and takes what it is given",
            metrics.up.clone(),
        );
        for result in ["stored", "known", "refused"] {
            metrics.counted(result, 0);
        }
        metrics
    }
}

impl Metrics {
    /// Records of one batch.
    pub fn counted(&self, result: &'static str, records: usize) {
        self.records
            .get_or_create(&ResultLabel { result })
            .inc_by(records as u64);
    }

    /// A batch Redis took.
    pub fn took(&self, seconds: f64) {
        self.seconds.observe(seconds);
        self.owing.store(false, Ordering::Relaxed);
        self.up.set(1);
    }

    /// A batch Redis did not take.
    pub fn failed(&self, kind: &'static str) {
        self.owing.store(true, Ordering::Relaxed);
        self.silent(kind);
    }

    /// A question Redis did not answer.
    pub fn silent(&self, kind: &'static str) {
        self.errors.get_or_create(&KindLabel { kind }).inc();
        self.up.set(0);
    }

    /// Redis answered a question. One without memory does so, too: while it owes a batch, that is no proof.
    pub fn answered(&self) {
        if !self.owing.load(Ordering::Relaxed) {
            self.up.set(1);
        }
    }

    /// Streams in use.
    pub fn streams(&self, count: usize) {
        self.streams.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What a cluster has in Redis.
    pub fn bytes(&self, cluster: &str, bytes: u64) {
        self.bytes
            .get_or_create(&ClusterLabel::of(cluster))
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A record was refused because its cluster has as much in Redis as it may.
    pub fn full(&self, cluster: &str) {
        self.full.get_or_create(&ClusterLabel::of(cluster)).inc();
    }

    /// Nothing is left of a cluster.
    pub fn gone(&self, cluster: &str) {
        self.bytes.remove(&ClusterLabel::of(cluster));
    }

    /// The exposition, OpenMetrics 1.0.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_answers_and_takes_nothing_is_not_up() {
        let metrics = Metrics::default();
        let up = || metrics.up.get();
        metrics.answered();
        assert_eq!(up(), 1);
        metrics.silent("ping");
        assert_eq!(up(), 0);
        metrics.answered();
        assert_eq!(up(), 1);
        metrics.failed("write");
        metrics.answered();
        assert_eq!(up(), 0);
        metrics.took(0.001);
        assert_eq!(up(), 1);
    }
}
