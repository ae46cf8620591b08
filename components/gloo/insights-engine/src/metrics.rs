//! What Prometheus is told, under the names of Gloo 2.5 and of 2.6 and later.

use std::time::Duration;

use gloo_insights::Code;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{certificates, shared::Shared};

/// A rule takes microseconds, a run with many clusters seconds.
const RULE_BUCKETS: [f64; 8] = [0.000_01, 0.000_1, 0.001, 0.01, 0.05, 0.1, 0.5, 2.0];
const RUN_BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0];
/// What the engine can fail at; each is there from the beginning, so that none is told from not measured.
const KINDS: [&str; 8] = [
    "entry", "query", "record", "redis", "rule", "run", "sample", "snapshot",
];

type RuleTimes = Family<[(&'static str, String); 1], Histogram, fn() -> Histogram>;

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    rules: RuleTimes,
    runs: Histogram,
    errors: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let errors = Family::default();
        for kind in KINDS {
            let _: &Counter = &errors.get_or_create(&[("kind", kind)]);
        }
        Self {
            rules: Family::new_with_constructor(|| Histogram::new(RULE_BUCKETS)),
            runs: Histogram::new(RUN_BUCKETS),
            errors,
        }
    }
}

impl Metrics {
    pub fn rule(&self, code: Code, took: Duration) {
        let label = [("code", code.to_string())];
        self.rules.get_or_create(&label).observe(took.as_secs_f64());
    }

    pub fn ran(&self, took: Duration) {
        self.runs.observe(took.as_secs_f64());
    }

    pub fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&[("kind", kind)]).inc();
    }

    fn register(&self, registry: &mut Registry, prefix: &str) {
        registry.register(
            format!("{prefix}_insights_execution_time"),
            "Seconds a rule took for one cluster",
            self.rules.clone(),
        );
        registry.register(
            format!("{prefix}_insights_total_execution_time"),
            "Seconds a run took",
            self.runs.clone(),
        );
        registry.register(
            format!("{prefix}_insights_engine_errors"),
            "Evidence that could not be had, and rules that broke",
            self.errors.clone(),
        );
    }
}

type InsightLabels = [(&'static str, String); 8];
type Omitted = Family<[(&'static str, String); 2], Gauge>;

/// The exposition in OpenMetrics text.
pub fn text(metrics: &Metrics, shared: &Shared) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    let (insights, unknown) = (
        Family::<InsightLabels, Gauge>::default(),
        Gauge::<i64>::default(),
    );
    if let Some((page, _)) = shared.page() {
        for insight in &page.insights {
            if !insight.state.stands() || insight.suppressed.is_some() {
                continue;
            }
            let code = insight.code;
            let labels = [
                ("category", code.group.as_str().to_owned()),
                ("cluster", insight.cluster.clone()),
                ("code", code.to_string()),
                ("group", code.group.as_str().to_owned()),
                ("key", format!("{:04}", code.number)),
                ("severity", insight.severity.as_str().to_owned()),
                ("target", insight.target.to_string()),
                ("target_type", insight.target.kind.clone()),
            ];
            insights.get_or_create(&labels).set(1);
        }
        unknown.set(i64::try_from(page.unknown.len()).unwrap_or(i64::MAX));
    }
    for prefix in ["solo_io", "gloo_mesh"] {
        metrics.register(&mut registry, prefix);
        let help = "1 for each thing a person should know";
        registry.register(format!("{prefix}_insights"), help, insights.clone());
    }
    registry.register(
        "gloo_mesh_insights_unknown_rules",
        "Rules that could not say anything in the last run, over all clusters",
        unknown,
    );
    let omitted = Omitted::default();
    for ((code, cluster), count) in shared.omitted() {
        let labels = [("code", code.to_string()), ("cluster", cluster)];
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        omitted.get_or_create(&labels).set(count);
    }
    registry.register(
        "gloo_mesh_insights_omitted_findings",
        "Findings beyond what is followed of one rule and cluster",
        omitted,
    );
    certificates::register(&shared.certificates(), &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gloo_insights::{Book, Overview, Settings, evaluate, testing::Scene};
    use gloo_record::Analyzer;

    use super::*;

    /// What is published after a run over each scene.
    fn after(scenes: &[Scene]) -> Shared {
        let (mut book, settings) = (Book::default(), Settings::default());
        for scene in scenes {
            let all = evaluate(&scene.view(), &settings, || (), |_, (), ()| ());
            book.advance(("west", true), &all, &settings, "r", scene.now);
        }
        let shared = Shared::default();
        let page = Overview {
            run: "r".to_owned(),
            ended: scenes[0].now,
            clusters: vec!["west".to_owned()],
            insights: book.insights.into_values().collect(),
            unknown: Vec::new(),
            errors: Vec::new(),
        };
        shared.publish(page, BTreeMap::new());
        shared
    }

    fn one_node_is_not_ready() -> Scene {
        Scene::healthy().nodes(|nodes| nodes.nodes[0].ready = false)
    }

    #[test]
    fn an_insight_stays_a_series_while_nobody_knows_and_is_none_once_it_is_cleared() {
        let blind = one_node_is_not_ready().without(Analyzer::Nodes, "403");
        for (then, is) in [(blind, true), (Scene::healthy(), false)] {
            let shared = after(&[one_node_is_not_ready(), then]);
            let text = text(&Metrics::default(), &shared).unwrap();
            assert_eq!(text.contains("code=\"HLT0201\""), is, "{text}");
        }
    }

    #[test]
    fn an_insight_is_a_series_under_both_names_with_gloos_labels() {
        let shared = after(&[one_node_is_not_ready()]);
        let metrics = Metrics::default();
        metrics.rule("HLT0201".parse().unwrap(), Duration::from_micros(5));
        metrics.ran(Duration::from_millis(20));
        let text = text(&metrics, &shared).unwrap();
        let series = "{category=\"HLT\",cluster=\"west\",code=\"HLT0201\",group=\"HLT\",key=\"0201\",severity=\"ERROR\",target=\"Node/node-a\",target_type=\"Node\"} 1";
        for wanted in [
            &format!("solo_io_insights{series}"),
            &format!("gloo_mesh_insights{series}"),
            "gloo_mesh_insights_engine_errors_total{kind=\"rule\"} 0",
            "gloo_mesh_insights_execution_time_count{code=\"HLT0201\"} 1",
            "gloo_mesh_insights_total_execution_time_count 1",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
