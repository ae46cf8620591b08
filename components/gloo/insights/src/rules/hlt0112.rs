//! HLT0112: Cilium loses events.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "events-lost",
    text: "sum by (cluster_name) (rate(cilium_events_lost_total{cluster_name!=\"\"}[5m])) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};
/// Events per second.
const MANY: f64 = 1.0;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 112),
    severity: Severity::Warning,
    title: "Cilium loses events",
    why: "Events that are lost are missing in Hubble's flows and in its counts: what is not seen is not proven.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Which agents: sum by (instance) (rate(cilium_events_lost_total[5m]))
2. Fewer flows, or more CPU for the agent: raise spec.cilium.resources of the GlooNetwork.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |rate: f64| {
        let summary = format!("{rate:.0} events per second are lost");
        Finding::new(Target::cluster(), summary).because("events_per_second", rate)
    };
    let lost = samples.filter(|sample| sample.value > MANY);
    Ok(lost.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn a_rate_of_lost_events_is_told_and_a_single_one_is_not() {
        let lost = |rate| Scene::healthy().answer(&QUERY, &[sample(rate)]);
        assert_eq!(
            found(&RULE, &lost(40.0)),
            ["Cluster: 40 events per second are lost"]
        );
        assert!(found(&RULE, &lost(0.2)).is_empty());
    }
}
