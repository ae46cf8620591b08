//! One cluster, as a rule sees it.

use std::collections::BTreeMap;

use gloo_record::{
    Analyzer, Certificates, CiliumAgents, CiliumConfig, CiliumOperator, CniConfiguration,
    GlooComponents, Hubble, Images, NetworkPolicies, Nodes, Outcome, Proxies, Record, Report,
};
use jiff::Timestamp;

use crate::{Answers, Query, Sample, Scope, Snapshot, Source, Unknown};

/// Runs an analyzer may miss before its last record says nothing about now.
const MISSED: i64 = 3;
/// And never less than this: a record is some seconds under way, and clocks of two nodes are never quite the same.
const LEAST: i64 = 90;

/// What is known of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub name: String,
    /// The one that manages.
    pub home: bool,
    /// By analyzer; an error says why there is none.
    pub reports: BTreeMap<Analyzer, Result<Report, String>>,
    /// What the agent told the management server; an error says why it is not known.
    pub snapshot: Option<Result<Snapshot, String>>,
}

/// One cluster at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub cluster: &'a Cluster,
    pub answers: &'a Answers,
    pub now: Timestamp,
}

macro_rules! records {
    ($($method:ident, $variant:ident, $record:ty;)*) => {
        $(
            /// The analyzer's record, unless it is missing, failed or too old.
            pub fn $method(&self) -> Result<&'a $record, Unknown> {
                match self.record(Analyzer::$variant)? {
                    Record::$variant(record) => Ok(record),
                    _ => Err(Unknown::new(format!("analyzer {} sent the record of another", Analyzer::$variant))),
                }
            }
        )*
    };
}

impl<'a> View<'a> {
    records! {
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

    /// Nodes of which no agent told, if one should have: see [`Nodes::unseen`]. Where no agents run at all, nobody should.
    pub(crate) fn unseen(&self, nodes: &'a Nodes) -> Vec<&'a str> {
        let none = self.agents().is_ok_and(|agents| agents.agents.is_empty());
        if none { Vec::new() } else { nodes.unseen() }
    }

    fn record(&self, analyzer: Analyzer) -> Result<&'a Record, Unknown> {
        match &self.report(analyzer)?.outcome {
            Outcome::Found(record) => Ok(record),
            Outcome::Failed(why) => Err(Unknown::new(format!("analyzer {analyzer} failed: {why}"))),
        }
    }

    /// The analyzer's last report, found or failed, unless it is missing or too old.
    pub fn report(&self, analyzer: Analyzer) -> Result<&'a Report, Unknown> {
        let report = match self.cluster.reports.get(&analyzer) {
            None => {
                let why = format!("analyzer {analyzer} has not reported");
                return Err(Unknown::new(why));
            }
            Some(Err(why)) => {
                let why = format!("the record of analyzer {analyzer} cannot be read: {why}");
                return Err(Unknown::new(why));
            }
            Some(Ok(report)) => report,
        };
        let age = self.now.duration_since(report.taken).as_secs();
        // An age below nothing would keep a report fresh long after its analyzer ended.
        if age < -LEAST {
            let why = format!(
                "analyzer {analyzer} reported {} s after now: its clock or the engine's is off",
                -age
            );
            return Err(Unknown::new(why));
        }
        let limit = (MISSED * i64::from(report.interval)).max(LEAST);
        if age > limit {
            let why = format!("analyzer {analyzer} last reported {age} s ago");
            return Err(Unknown::new(why));
        }
        Ok(report)
    }

    /// What Prometheus has about this cluster. No sample is no evidence, and none is needed of what does not run.
    pub fn samples(&self, query: &Query) -> Result<Vec<&'a Sample>, Unknown> {
        let all = match self.answers.get(query.name) {
            None => {
                let why = format!("Prometheus was not asked for {}", query.name);
                return Err(Unknown::new(why));
            }
            Some(Err(why)) => {
                let why = format!("query {} has no answer: {why}", query.name);
                return Err(Unknown::new(why));
            }
            Some(Ok(all)) => all,
        };
        let about = |sample: &&Sample| {
            query.source.scope() == Scope::Home || sample.label("cluster_name") == self.cluster.name
        };
        let own: Vec<&Sample> = all.iter().filter(about).collect();
        if own.is_empty() {
            return self.no_sample(query).map(|()| own);
        }
        // Without it the others would say that all is well.
        if let Some(odd) = own.iter().find(|sample| !sample.value.is_finite()) {
            let why = format!("query {} has the value {}", query.name, odd.value);
            return Err(Unknown::new(why));
        }
        Ok(own)
    }

    fn no_sample(&self, query: &Query) -> Result<(), Unknown> {
        // What nobody has told of may not be there yet.
        let runs = match query.source {
            Source::Management => true,
            Source::CiliumAgents => match self.agents() {
                Ok(agents) if agents.agents.is_empty() => return Ok(()),
                agents => agents.is_ok(),
            },
            Source::Collectors => Analyzer::ALL.iter().any(|one| self.report(*one).is_ok()),
        };
        let why = format!("Prometheus has no sample for query {}", query.name);
        Err(Unknown {
            silent: runs,
            ..Unknown::new(why)
        })
    }

    /// What the cluster's agent told the management server.
    pub fn snapshot(&self) -> Result<&'a Snapshot, Unknown> {
        match &self.cluster.snapshot {
            None => Err(Unknown::new("there is no snapshot of this cluster")),
            Some(Err(why)) => Err(Unknown::new(format!("the snapshot cannot be read: {why}"))),
            Some(Ok(snapshot)) => Ok(snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::testing::{Scene, labelled, sample};

    const QUERY: Query = Query {
        name: "a-test",
        text: "up",
        source: Source::CiliumAgents,
    };

    /// The healthy cluster, looked at with another clock.
    fn at(seconds: i64) -> Result<(), String> {
        let mut scene = Scene::healthy();
        scene.now += SignedDuration::from_secs(seconds);
        scene
            .view()
            .nodes()
            .map(drop)
            .map_err(|unknown| unknown.why)
    }

    #[test]
    fn clocks_that_are_a_little_apart_are_no_matter_and_those_that_are_far_apart_are_told() {
        // The report was taken ten seconds before.
        assert_eq!(at(-100), Ok(()));
        assert_eq!(at(80), Ok(()));
        let ahead = at(-101).unwrap_err();
        let words = "analyzer nodes reported 91 s after now: its clock or the engine's is off";
        assert_eq!(ahead, words);
        let behind = at(81).unwrap_err();
        assert_eq!(behind, "analyzer nodes last reported 91 s ago");
    }

    #[test]
    fn a_sample_that_is_no_number_takes_the_evidence_from_its_own_cluster_only() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let own = [sample(0.0), labelled(odd, &[("reason", "x")])];
            let scene = Scene::healthy().answer(&QUERY, &own);
            let why = scene.view().samples(&QUERY).unwrap_err().why;
            assert_eq!(why, format!("query a-test has the value {odd}"));
            let others = [sample(0.0), labelled(odd, &[("cluster_name", "east")])];
            let scene = Scene::healthy().answer(&QUERY, &others);
            assert_eq!(scene.view().samples(&QUERY).unwrap().len(), 1);
        }
    }

    /// What a query without a sample is worth: evidence that nothing is wrong, or none; and whether it should have had one.
    fn without_a_sample(source: Source, scene: &Scene) -> Result<usize, bool> {
        let query = Query { source, ..QUERY };
        let scene = Scene {
            answers: Answers::from([(query.name, Ok(Vec::new()))]),
            ..scene.clone()
        };
        let samples = scene.view().samples(&query).map(|samples| samples.len());
        samples.map_err(|unknown| unknown.silent)
    }

    #[test]
    fn no_sample_of_what_runs_is_silence() {
        let healthy = Scene::healthy();
        for source in [Source::Management, Source::CiliumAgents, Source::Collectors] {
            assert_eq!(without_a_sample(source, &healthy), Err(true), "{source:?}");
        }
        // A report that an analyzer failed came through a collector, too.
        let failed = Scene::failed("403");
        assert_eq!(without_a_sample(Source::Collectors, &failed), Err(true));
    }

    #[test]
    fn of_what_nobody_has_told_of_no_sample_is_unknown_and_no_silence() {
        let blind = Scene::blind();
        assert_eq!(without_a_sample(Source::CiliumAgents, &blind), Err(false));
        assert_eq!(without_a_sample(Source::Collectors, &blind), Err(false));
        let old = Scene::healthy().hours_later(2);
        assert_eq!(without_a_sample(Source::CiliumAgents, &old), Err(false));
        assert_eq!(without_a_sample(Source::Collectors, &old), Err(false));
    }

    #[test]
    fn where_no_agent_of_cilium_runs_nothing_is_wrong_with_them() {
        let foreign = Scene::healthy().agents(|agents| agents.agents.clear());
        assert_eq!(without_a_sample(Source::CiliumAgents, &foreign), Ok(0));
        assert_eq!(without_a_sample(Source::Collectors, &foreign), Err(true));
        // Other clusters' samples are nothing to it.
        let others = [labelled(1.0, &[("cluster_name", "east")])];
        let scene = foreign.answer(&QUERY, &others);
        assert_eq!(scene.view().samples(&QUERY), Ok(Vec::new()));
    }
}
