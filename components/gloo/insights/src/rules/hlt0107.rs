//! HLT0107: endpoints of a node do not get ready.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Endpoints that start at one time are no fault.
const MANY: u64 = 5;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 107),
    severity: Severity::Warning,
    title: "Endpoints of a node do not get ready",
    why: "An endpoint that is not ready has not got its policy yet; until then it may talk to nobody.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which ones: kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium endpoint list
2. Why: kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium endpoint get ID
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let waiting = agent
            .metrics
            .as_ref()
            .map_or(0, |metrics| metrics.endpoints_not_ready);
        if waiting > MANY {
            let summary = format!("{waiting} endpoints on {} are not ready", agent.pod.node);
            let finding = Finding::new(Target::node(&agent.pod.node), summary);
            let finding = finding.because("pod", &agent.pod.name);
            all.push(finding.because("endpoints_not_ready", waiting));
        }
    }
    all_of("metrics", &agents.unread(), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn many_endpoints_that_wait_are_told_and_a_few_are_not() {
        let waiting = |count| {
            Scene::healthy().agents(|agents| {
                let metrics = agents.agents[0].metrics.as_mut().unwrap();
                metrics.endpoints_not_ready = count;
            })
        };
        assert!(found(&RULE, &waiting(5)).is_empty());
        assert_eq!(
            found(&RULE, &waiting(6)),
            ["Node/node-a: 6 endpoints on node-a are not ready"]
        );
    }
}
