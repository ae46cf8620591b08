//! HLT0301: part of the platform is not available.

use gloo_record::{Analyzer, gloo_components::Workload};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 301),
    severity: Severity::Error,
    title: "Part of the platform is not available",
    why: "None of its pods is ready.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. What the operator says: gloonet status
2. Why its pods are not ready: kubectl --namespace {{target.namespace}} describe {{target.kind}} {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let dead = |one: &&Workload| one.counts.desired > 0 && one.counts.ready == 0;
    let workloads = view.gloo()?.workloads.iter().filter(dead);
    let finding = |one: &Workload| {
        let target = Target::new(&one.kind, &one.namespace, &one.name);
        let summary = format!(
            "none of {} pods of {} is ready",
            one.counts.desired, one.name
        );
        Finding::new(target, summary).because("desired", one.counts.desired)
    };
    Ok(workloads.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_workload_without_a_ready_pod_is_told_and_one_that_wants_none_is_not() {
        let of = |desired, ready| {
            Scene::healthy().gloo(|gloo| {
                gloo.workloads[0].counts.desired = desired;
                gloo.workloads[0].counts.ready = ready;
            })
        };
        assert_eq!(
            found(&RULE, &of(1, 0)),
            ["Deployment/gloo-mesh/gloo-mesh-agent: none of 1 pods of gloo-mesh-agent is ready"]
        );
        assert!(found(&RULE, &of(0, 0)).is_empty());
        assert!(found(&RULE, &of(2, 1)).is_empty());
    }
}
