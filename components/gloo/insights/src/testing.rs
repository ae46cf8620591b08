//! A healthy cluster to take one fault at a time from.

mod records;

use std::collections::BTreeMap;

use gloo_record::{
    Analyzer, Certificates, CiliumAgents, CiliumConfig, CiliumOperator, CniConfiguration,
    GlooComponents, Hubble, Images, NetworkPolicies, Nodes, Outcome, Proxies, Record, Report,
    SCHEMA,
};
use jiff::{SignedDuration, Timestamp};

use crate::{Answers, Cluster, Finding, Query, Rule, Sample, Snapshot, Unknown, View, queries};
pub use records::{lease, pod};

/// Nodes of the healthy cluster.
pub const NODES: [&str; 2] = ["node-a", "node-b"];
const CLUSTER: &str = "west";

/// What is known of one cluster, to be changed by a test.
#[derive(Clone, Debug)]
pub struct Scene {
    pub cluster: Cluster,
    pub answers: Answers,
    pub now: Timestamp,
}

macro_rules! changes {
    ($($method:ident, $variant:ident, $record:ty;)*) => {
        $(
            /// Changes what the analyzer found.
            #[must_use]
            pub fn $method(mut self, change: impl FnOnce(&mut $record)) -> Self {
                if let Some(Ok(report)) = self.cluster.reports.get_mut(&Analyzer::$variant)
                    && let Outcome::Found(Record::$variant(record)) = &mut report.outcome
                {
                    change(record);
                }
                self
            }
        )*
    };
}

impl Scene {
    changes! {
        agents, CiliumAgents, CiliumAgents;
        config, CiliumConfig, CiliumConfig;
        operator, CiliumOperator, CiliumOperator;
        cni, CniConfiguration, CniConfiguration;
        certificates, Certificates, Certificates;
        gloo, GlooComponents, GlooComponents;
        hubble, Hubble, Hubble;
        images, Images, Images;
        policies, NetworkPolicies, NetworkPolicies;
        nodes, Nodes, Nodes;
        proxies, Proxies, Proxies;
    }

    /// The cluster that manages, with nothing wrong.
    pub fn healthy() -> Self {
        let now = now();
        let mut reports = BTreeMap::new();
        for record in records::records() {
            let analyzer = record.analyzer();
            reports.insert(analyzer, Ok(report(analyzer, Outcome::Found(record), now)));
        }
        Self {
            cluster: Cluster {
                name: CLUSTER.to_owned(),
                home: true,
                reports,
                snapshot: Some(Ok(records::snapshot())),
            },
            answers: queries()
                .into_iter()
                .map(|query| (query.name, Ok(vec![sample(0.0)])))
                .collect(),
            now,
        }
    }

    /// A cluster of which nothing is known.
    pub fn blind() -> Self {
        Self {
            cluster: Cluster {
                name: CLUSTER.to_owned(),
                home: true,
                ..Cluster::default()
            },
            answers: Answers::new(),
            now: now(),
        }
    }

    /// A cluster of which every analyzer failed.
    pub fn failed(why: &str) -> Self {
        let mut scene = Self::healthy();
        for analyzer in Analyzer::ALL {
            let failed = report(analyzer, Outcome::Failed(why.to_owned()), scene.now);
            scene.cluster.reports.insert(analyzer, Ok(failed));
        }
        scene
    }

    /// The same, looked at later.
    #[must_use]
    pub fn hours_later(mut self, hours: i64) -> Self {
        self.now += SignedDuration::from_hours(hours);
        self
    }

    /// Prometheus answers a query with this.
    #[must_use]
    pub fn answer(mut self, query: &'static Query, samples: &[Sample]) -> Self {
        self.answers.insert(query.name, Ok(samples.to_vec()));
        self
    }

    /// Changes what the agent told the server.
    #[must_use]
    pub fn snapshot(mut self, change: impl FnOnce(&mut Snapshot)) -> Self {
        if let Some(Ok(snapshot)) = &mut self.cluster.snapshot {
            change(snapshot);
        }
        self
    }

    /// The analyzer's last run failed.
    #[must_use]
    pub fn without(mut self, analyzer: Analyzer, why: &str) -> Self {
        let failed = report(analyzer, Outcome::Failed(why.to_owned()), self.now);
        self.cluster.reports.insert(analyzer, Ok(failed));
        self
    }

    pub fn view(&self) -> View<'_> {
        View {
            cluster: &self.cluster,
            answers: &self.answers,
            now: self.now,
        }
    }
}

/// What a rule says; a test that expects findings sees them printed, and each must say what was seen.
pub fn found(rule: &Rule, scene: &Scene) -> Vec<String> {
    match (rule.find)(&scene.view()) {
        Ok(all) => all.iter().map(line).collect(),
        Err(Unknown { why, .. }) => vec![format!("unknown: {why}")],
    }
}

fn line(finding: &Finding) -> String {
    let seen = !finding.evidence.is_empty();
    assert!(seen, "{}: no evidence", finding.summary);
    let place = finding
        .cluster
        .as_ref()
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    format!("{place}{}: {}", finding.target, finding.summary)
}

/// A sample about the cluster.
pub fn sample(value: f64) -> Sample {
    Sample {
        labels: BTreeMap::from([("cluster_name".to_owned(), CLUSTER.to_owned())]),
        value,
    }
}

/// A sample with more labels.
pub fn labelled(value: f64, labels: &[(&str, &str)]) -> Sample {
    let mut sample = sample(value);
    for (name, label) in labels {
        sample
            .labels
            .insert((*name).to_owned(), (*label).to_owned());
    }
    sample
}

fn now() -> Timestamp {
    // A date without meaning; leap years and the like are not what is tested.
    Timestamp::from_second(1_770_000_000).unwrap_or_default()
}

fn report(analyzer: Analyzer, outcome: Outcome, now: Timestamp) -> Report {
    Report {
        schema: SCHEMA,
        run: "run-1".to_owned(),
        taken: now - SignedDuration::from_secs(10),
        interval: 30,
        version: "0.1.0".to_owned(),
        analyzer,
        outcome,
    }
}
