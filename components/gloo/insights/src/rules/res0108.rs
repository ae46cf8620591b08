//! RES0108: policy does not fit its map.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 108),
    severity: Severity::Error,
    title: "Policy does not fit its map",
    why: "The old state stays in force for the pods it selects: what the new one allows or denies has no effect.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which policy: the events of the pods on {{target.name}}, and kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium endpoint list
2. Fewer peers: ranges instead of many addresses, labels instead of many names.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let large = agent
            .metrics
            .as_ref()
            .and_then(|metrics| metrics.policies_too_large);
        if let Some(large) = large.filter(|large| *large > 0) {
            let node = &agent.pod.node;
            let summary = format!("{large} policies do not fit their maps on {node}");
            let finding = Finding::new(Target::node(node), summary);
            let finding = finding.because("pod", &agent.pod.name);
            all.push(finding.because("policy_too_large", large));
        }
    }
    all_of("metrics", &agents.unread(), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn policies_that_do_not_fit_are_counted_by_node() {
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[0]
                .metrics
                .as_mut()
                .unwrap()
                .policies_too_large = Some(2);
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-a: 2 policies do not fit their maps on node-a"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
