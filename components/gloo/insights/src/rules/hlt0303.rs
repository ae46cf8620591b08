//! HLT0303: cluster is not connected.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

pub(crate) const QUERY: Query = Query {
    name: "agents-disconnected",
    text: "1 - max by (cluster) (relay_push_clients_connected)",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 303),
    severity: Severity::Error,
    title: "Cluster is not connected",
    why: "What is desired of it is not brought there, and what changes in it is not known here. What it has stays in force.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. What the server says: gloonet clusters
2. What the agent there says: kubectl --namespace gloo-mesh logs deployment/gloo-mesh-agent (in cluster {{cluster}})
3. The runbook: docs/runbooks/clusters-not-connected.md
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let away = samples.filter(|sample| sample.value > 0.0);
    let finding = |cluster: &str| {
        let summary = format!("no replica of the management server has a stream of {cluster}");
        let finding = Finding::new(Target::cluster(), summary).in_cluster(cluster);
        finding.because("relay_push_clients_connected", 0)
    };
    Ok(away
        .map(|sample| finding(sample.label("cluster")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled};

    #[test]
    fn the_cluster_that_is_away_is_told_and_not_the_one_that_manages() {
        let samples = [
            labelled(1.0, &[("cluster", "east")]),
            labelled(0.0, &[("cluster", "west")]),
        ];
        assert_eq!(
            found(&RULE, &Scene::healthy().answer(&QUERY, &samples)),
            ["east: Cluster: no replica of the management server has a stream of east"]
        );
    }

    #[test]
    fn without_a_sample_nobody_knows() {
        let told = found(&RULE, &Scene::healthy().answer(&QUERY, &[]));
        assert!(told[0].starts_with("unknown: "), "{told:?}");
    }
}
