//! What Prometheus is told, under the names Gloo's dashboards ask for.

use std::time::Duration;

use gloo_record::Analyzer;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

const BUCKETS: [f64; 9] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

type Label = [(&'static str, &'static str); 1];
type Times = Family<Label, Histogram, fn() -> Histogram>;

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    times: Times,
    failures: Family<Label, Counter>,
    unsent: Family<Label, Counter>,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let times: Times = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let (failures, unsent) = (Family::default(), Family::default());
        let mut registry = Registry::default();
        registry.register(
            "solo_io_analyzer_execution_time",
            "Seconds a run of an analyzer took",
            times.clone(),
        );
        registry.register(
            "solo_io_analyzer_failures",
            "Runs that found nothing because of an error",
            failures.clone(),
        );
        registry.register(
            "solo_io_analyzer_unsent_reports",
            "Reports the collector did not take",
            unsent.clone(),
        );
        let metrics = Self {
            times,
            failures,
            unsent,
            registry,
        };
        // A counter that is there from the beginning tells "never" from "not measured".
        for analyzer in Analyzer::ALL {
            let _ = metrics.failures.get_or_create(&label(analyzer));
            let _ = metrics.unsent.get_or_create(&label(analyzer));
        }
        metrics
    }
}

fn label(analyzer: Analyzer) -> Label {
    [("analyzer", analyzer.as_str())]
}

impl Metrics {
    pub fn ran(&self, analyzer: Analyzer, took: Duration, failed: bool) {
        let times = self.times.get_or_create(&label(analyzer));
        times.observe(took.as_secs_f64());
        drop(times);
        if failed {
            self.failures.get_or_create(&label(analyzer)).inc();
        }
    }

    pub fn unsent(&self, analyzer: Analyzer) {
        self.unsent.get_or_create(&label(analyzer)).inc();
    }

    /// The exposition in OpenMetrics text.
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
    fn names_are_those_gloos_dashboards_ask_for() {
        let metrics = Metrics::default();
        metrics.ran(Analyzer::Nodes, Duration::from_millis(30), true);
        let text = metrics.text().unwrap();
        for wanted in [
            "solo_io_analyzer_execution_time_bucket{le=\"0.1\",analyzer=\"nodes\"} 1",
            "solo_io_analyzer_execution_time_count{analyzer=\"nodes\"} 1",
            "solo_io_analyzer_failures_total{analyzer=\"nodes\"} 1",
            "solo_io_analyzer_unsent_reports_total{analyzer=\"hubble\"} 0",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
