//! BP0106: part of the platform without a memory limit.

use gloo_record::{Analyzer, gloo_components::Workload};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 106),
    severity: Severity::Info,
    title: "Part of the platform without a memory limit",
    why: "A leak takes the node's memory, and the kernel then ends whatever it likes.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Which containers: {{{evidence.containers}}}
2. Set a limit in the resources of that part in the GlooNetwork.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let endless = |one: &&Workload| !one.unlimited.is_empty();
    let workloads = view.gloo()?.workloads.iter().filter(endless);
    let finding = |one: &Workload| {
        let target = Target::new(&one.kind, &one.namespace, &one.name);
        let containers = one.unlimited.join(", ");
        let summary = format!("no memory limit for {containers}");
        Finding::new(target, summary).because("containers", containers)
    };
    Ok(workloads.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn containers_without_a_limit_are_named() {
        let scene =
            Scene::healthy().gloo(|gloo| gloo.workloads[0].unlimited = vec!["agent".to_owned()]);
        assert_eq!(
            found(&RULE, &scene),
            ["Deployment/gloo-mesh/gloo-mesh-agent: no memory limit for agent"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
