//! One run after the other: read, judge, keep, publish.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use gloo_api::ClusterName;
use gloo_insights::{
    Answers, Book, Cluster, Code, Evaluation, Overview, Sample, Settings, Unjudged, Verdict, View,
    clean, evaluate, queries,
};
use gloo_store::Redis;
use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    certificates,
    clusters::Names,
    keep::{self, Keeper},
    metrics::Metrics,
    prometheus::Prometheus,
    reports,
    shared::Shared,
    silence::Silences,
    snapshots::Snapshots,
};

/// Everything a run needs.
#[derive(Debug)]
pub struct Engine {
    pub home: ClusterName,
    pub interval: Duration,
    pub redis: Redis,
    pub snapshots: Option<Snapshots>,
    pub prometheus: Option<Prometheus>,
    pub clusters: watch::Receiver<Names>,
    pub settings: watch::Receiver<Settings>,
    pub shared: Arc<Shared>,
    pub metrics: Arc<Metrics>,
}

/// By rule and cluster.
type Omitted = BTreeMap<(Code, String), usize>;

/// What a run leaves for the next one.
#[derive(Debug, Default)]
struct Kept {
    book: Book,
    keeper: Keeper,
    /// The book of an earlier engine was read, or there was none.
    loaded: bool,
    silences: Silences,
    /// Errors of the last run.
    said: BTreeSet<String>,
}

impl Engine {
    /// Runs until `closing`.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut kept = Kept::default();
        loop {
            let begun = Instant::now();
            let run = self.once(&mut kept);
            if closing.run_until_cancelled(run).await.is_none() {
                return;
            }
            self.metrics.ran(begun.elapsed());
            let rest = self.interval.saturating_sub(begun.elapsed());
            let rest = rest.max(Duration::from_millis(200));
            let jitter = 0.95 + 0.1 * rand::random::<f64>();
            let pause = sleep(rest.mul_f64(jitter));
            if closing.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    async fn once(&mut self, kept: &mut Kept) {
        let Some(names) = self.names().await else {
            return;
        };
        let mut errors = Vec::new();
        self.load(kept, &names, &mut errors).await;
        let answers = self.answers(&mut errors).await;
        let mut clusters = Vec::new();
        for name in names.iter() {
            clusters.push(self.cluster(name, &mut errors).await);
        }
        let settings = self.settings.borrow().clone();
        let (metrics, now) = (self.metrics.clone(), Timestamp::now());
        // Rules are work for the processor, and there may be many clusters.
        let shared = self.shared.clone();
        let judged = tokio::task::spawn_blocking(move || {
            shared.certify(expiries(&clusters, &answers, now));
            judge(&clusters, &answers, &settings, now, &metrics)
        });
        let Ok((judged, settings)) = judged.await else {
            self.shared
                .trouble(Some("a run ended in the middle".to_owned()));
            self.metrics.failed("run");
            return;
        };
        let id = format!("{:016x}", rand::random::<u64>());
        let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        for (cluster, evaluations) in &judged {
            let place = (cluster.as_str(), *cluster == self.home.to_string());
            kept.book.advance(place, evaluations, &settings, &id, now);
        }
        kept.book.keep_clusters(&names, &id, now);
        self.save(kept, &mut errors).await;
        self.publish(kept, &judged, (id, now), names, errors);
    }

    /// Waits until the clusters are read; `None` when nobody reads them any more.
    async fn names(&mut self) -> Names {
        if self.clusters.borrow().is_none() {
            let why = "the KubernetesClusters are not read yet";
            self.shared.trouble(Some(why.to_owned()));
        }
        self.clusters.wait_for(Option::is_some).await.ok()?.clone()
    }

    async fn load(&self, kept: &mut Kept, names: &BTreeSet<ClusterName>, errors: &mut Vec<String>) {
        if kept.loaded {
            return;
        }
        let names = names.iter().map(ToString::to_string).collect();
        match keep::load(&self.redis, &names).await {
            Ok((book, refused)) => {
                if refused > 0 {
                    tracing::warn!(
                        refused,
                        "entries of Redis that are no insights of ours are left out"
                    );
                    self.metrics.failed("entry");
                }
                tracing::info!(
                    insights = book.insights.len(),
                    "goes on from what was known"
                );
                // What was found while Redis was away is newer.
                let found = std::mem::take(&mut kept.book);
                kept.book = book;
                kept.book.insights.extend(found.insights);
                kept.loaded = true;
            }
            Err(error) => self.note("redis", &error, errors).await,
        }
    }

    async fn save(&self, kept: &mut Kept, errors: &mut Vec<String>) {
        // Before the old book was read a new one would take its place.
        if !kept.loaded {
            return;
        }
        if let Err(error) = kept.keeper.save(&self.redis, &kept.book).await {
            kept.keeper.forget();
            self.note("redis", &error, errors).await;
        }
    }

    async fn note(&self, kind: &'static str, error: &keep::KeepError, errors: &mut Vec<String>) {
        self.metrics.failed(kind);
        errors.push(gloonet_daemon::error::chain(error));
        self.redis.reset().await;
    }

    async fn answers(&self, errors: &mut Vec<String>) -> Answers {
        let Some(prometheus) = &self.prometheus else {
            let why = || Err("no Prometheus is configured".to_owned());
            return queries().iter().map(|query| (query.name, why())).collect();
        };
        let answers = prometheus.ask().await;
        for why in doubtful(&answers) {
            self.metrics.failed("query");
            errors.push(why);
        }
        answers
    }

    async fn cluster(&mut self, name: &ClusterName, errors: &mut Vec<String>) -> Cluster {
        let mut cluster = Cluster {
            name: name.to_string(),
            home: *name == self.home,
            ..Cluster::default()
        };
        match self.reports(name).await {
            Ok(reports) => {
                for (analyzer, report) in &reports {
                    if let Err(why) = report {
                        self.metrics.failed("record");
                        errors.push(format!("record of {analyzer} of cluster {name}: {why}"));
                    }
                }
                cluster.reports = reports;
            }
            Err(error) => self.note("redis", &error, errors).await,
        }
        if let Some(snapshots) = &mut self.snapshots {
            cluster.snapshot = snapshots.read(name).await;
            if let Some(Err(why)) = &cluster.snapshot {
                self.metrics.failed("snapshot");
                errors.push(format!("snapshot of cluster {name}: {why}"));
            }
        }
        cluster
    }

    async fn reports(&self, name: &ClusterName) -> Result<reports::Reports, keep::KeepError> {
        let mut connection = self.redis.get().await?;
        Ok(reports::read(&mut connection, name.as_str()).await?)
    }

    fn publish(
        &self,
        kept: &mut Kept,
        judged: &[(String, Vec<Evaluation>)],
        (run, ended): (String, Timestamp),
        names: BTreeSet<String>,
        mut errors: Vec<String>,
    ) {
        for why in kept.silences.look(judged, ended) {
            self.metrics.failed("sample");
            errors.push(why);
        }
        let (unknown, omitted) = self.unjudged(judged);
        // They quote other clusters and Prometheus, and are read on a terminal. Logged once per change, not once per run.
        let errors: Vec<String> = errors.iter().map(|error| clean(error)).collect();
        for error in errors.iter().filter(|error| !kept.said.contains(*error)) {
            tracing::warn!(reason = error, "insights are made without some evidence");
        }
        kept.said = errors.iter().cloned().collect();
        let page = Overview {
            run,
            ended,
            clusters: names.into_iter().collect(),
            insights: kept.book.insights.values().cloned().collect(),
            unknown,
            errors,
        };
        self.shared.publish(page, omitted);
    }

    /// What rules could not say, and how many findings were left out.
    fn unjudged(&self, judged: &[(String, Vec<Evaluation>)]) -> (Vec<Unjudged>, Omitted) {
        let (mut unknown, mut omitted) = (Vec::new(), Omitted::new());
        for (cluster, evaluations) in judged {
            for one in evaluations {
                let code = one.rule.code;
                if one.omitted > 0 {
                    omitted.insert((code, cluster.clone()), one.omitted);
                }
                let why = match &one.verdict {
                    Verdict::Found(_) => continue,
                    Verdict::Unknown(unknown) => unknown.why.clone(),
                    Verdict::Broken(words) => {
                        self.metrics.failed("rule");
                        tracing::error!(%code, cluster, reason = words, "a rule broke");
                        format!("the rule broke: {words}")
                    }
                };
                let cluster = cluster.clone();
                unknown.push(Unjudged { code, cluster, why });
            }
        }
        (unknown, omitted)
    }
}

/// What is wrong with Prometheus' answers, in words. Whether one query should have had a sample is the rules' matter; that none
/// has any is the fault of what was asked: it lost its data, scrapes nothing of ours, or is another one.
fn doubtful(answers: &Answers) -> Vec<String> {
    let odd = |samples: &[Sample]| {
        let mut values = samples.iter().map(|sample| sample.value);
        values.find(|value| !value.is_finite())
    };
    let mut all: Vec<String> = answers
        .iter()
        .filter_map(|(name, answer)| match answer {
            Ok(samples) => odd(samples).map(|value| format!("query {name} has the value {value}")),
            Err(why) => Some(format!("query {name}: {why}")),
        })
        .collect();
    let empty = |answer: &Result<Vec<Sample>, _>| answer.as_ref().is_ok_and(Vec::is_empty);
    if !answers.is_empty() && answers.values().all(empty) {
        all.push("Prometheus has no sample for any query".to_owned());
    }
    all
}

fn expiries(clusters: &[Cluster], answers: &Answers, now: Timestamp) -> certificates::All {
    let of = |cluster: &Cluster| {
        let view = View {
            cluster,
            answers,
            now,
        };
        Some((cluster.name.clone(), certificates::of(&view)?))
    };
    clusters.iter().filter_map(of).collect()
}

type Judged = Vec<(String, Vec<Evaluation>)>;

fn judge(
    clusters: &[Cluster],
    answers: &Answers,
    settings: &Settings,
    now: Timestamp,
    metrics: &Metrics,
) -> (Judged, Settings) {
    let judged = clusters.iter().map(|cluster| {
        let view = View {
            cluster,
            answers,
            now,
        };
        let took = |rule: &gloo_insights::Rule, before: Instant, after: Instant| {
            metrics.rule(rule.code, after - before);
        };
        let evaluations = evaluate(&view, settings, Instant::now, took);
        (cluster.name.clone(), evaluations)
    });
    (judged.collect(), settings.clone())
}

#[cfg(test)]
mod tests;
