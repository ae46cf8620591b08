//! RES0109: policies take long to be in force.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "policy-implementation-delay-p99",
    text: "(histogram_quantile(0.99, sum by (cluster_name, le) (rate(cilium_policy_implementation_delay_bucket{cluster_name!=\"\"}[10m]))) >= 0) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};
/// Seconds.
const SLOW: f64 = 5.0;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 109),
    severity: Severity::Warning,
    title: "Policies take long to be in force",
    why: "Between the change and its effect the old rules count.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. On which node: histogram_quantile(0.99, sum by (le, instance) (rate(cilium_policy_implementation_delay_bucket[10m])))
2. More CPU for the agents: spec.cilium.resources
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |seconds: f64| {
        let summary = format!("one policy change in a hundred takes {seconds:.1} s or more");
        Finding::new(Target::cluster(), summary).because("seconds_p99", seconds)
    };
    let slow = samples.filter(|sample| sample.value > SLOW);
    Ok(slow.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn seconds_are_told() {
        let with = |seconds| Scene::healthy().answer(&QUERY, &[sample(seconds)]);
        assert!(found(&RULE, &with(9.5))[0].ends_with("takes 9.5 s or more"));
        assert!(found(&RULE, &with(0.2)).is_empty());
    }
}
