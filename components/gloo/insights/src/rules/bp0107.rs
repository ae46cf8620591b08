//! BP0107: one replica of the management server for several clusters.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "clusters-registered",
    text: "count(count by (cluster) (relay_push_clients_connected)) - 1",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 107),
    severity: Severity::Info,
    title: "One replica of the management server for several clusters",
    why: "While its node is away nothing new reaches any cluster. What they have stays in force.",
    evidence: &[
        Evidence::Record(Analyzer::GlooComponents),
        Evidence::Metrics(&QUERY),
    ],
    scope: Scope::Home,
    steps: "\
1. spec.gloo.managementServer.replicas: 2
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let network = view.gloo()?.network.as_ref();
    let one = network.is_some_and(|network| network.management_replicas == Some(1));
    let samples = view.samples(&QUERY)?.into_iter();
    let others = samples.filter(|sample| one && sample.value >= 1.0);
    let finding = |others: f64| {
        let target = Target::new("Deployment", "gloo-mesh", "gloo-mesh-mgmt-server");
        let summary = format!("one replica serves {:.0} clusters", others + 1.0);
        Finding::new(target, summary).because("clusters", others + 1.0)
    };
    Ok(others.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn one_replica_is_told_where_it_serves_more_than_its_own_cluster() {
        let with = |replicas, others| {
            let scene = Scene::healthy().gloo(|gloo| {
                gloo.network.as_mut().unwrap().management_replicas = Some(replicas);
            });
            scene.answer(&QUERY, &[sample(others)])
        };
        assert!(found(&RULE, &with(1, 2.0))[0].ends_with("one replica serves 3 clusters"));
        assert!(found(&RULE, &with(1, 0.0)).is_empty());
        assert!(found(&RULE, &with(2, 2.0)).is_empty());
    }
}
