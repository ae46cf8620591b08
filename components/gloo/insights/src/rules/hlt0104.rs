//! HLT0104: controllers of a Cilium agent fail.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 104),
    severity: Severity::Warning,
    title: "Controllers of a Cilium agent fail",
    why: "A controller is a task the agent repeats: writing its endpoints, following other nodes. What it is about gets old.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which ones, and why: kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium status --verbose
2. Most often the API server refused or did not answer: kubectl --namespace kube-system logs {{evidence.pod}} --container cilium-agent
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let metrics = agent.metrics.as_ref();
        let failing = metrics.and_then(|metrics| metrics.controllers_failing);
        if let Some(failing) = failing.filter(|failing| *failing > 0) {
            let summary = format!(
                "{failing} controllers of the agent on {} fail",
                agent.pod.node
            );
            let finding = Finding::new(Target::node(&agent.pod.node), summary);
            let finding = finding.because("pod", &agent.pod.name);
            all.push(finding.because("controllers_failing", failing));
        }
    }
    all_of("metrics", &agents.unread(), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn failing_controllers_are_counted_by_node() {
        let scene = Scene::healthy().agents(|agents| {
            let metrics = agents.agents[0].metrics.as_mut().unwrap();
            metrics.controllers_failing = Some(2);
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-a: 2 controllers of the agent on node-a fail"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
