//! RES0101: BPF map is nearly full.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Share of its places that are taken.
const FULL: f64 = 0.8;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 101),
    severity: Severity::Warning,
    title: "BPF map is nearly full",
    why: "When it is full, what does not fit is refused: new connections, new policies, new services.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which entries fill it: kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium bpf ct list
2. Fewer connections, or larger maps.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let Some(metrics) = &agent.metrics else {
            continue;
        };
        for (map, pressure) in &metrics.map_pressure {
            if *pressure > FULL {
                let node = &agent.pod.node;
                let share = pressure * 100.0;
                let summary = format!("map {map} on {node} is {share:.0} % full");
                let finding = Finding::new(Target::new("Map", node, map), summary);
                let finding = finding.because("pod", &agent.pod.name);
                all.push(finding.because("pressure", pressure));
            }
        }
    }
    all_of("metrics", &agents.unread(), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_map_over_its_limit_is_told_by_node() {
        let with = |pressure| {
            Scene::healthy().agents(|agents| {
                let metrics = agents.agents[0].metrics.as_mut().unwrap();
                metrics
                    .map_pressure
                    .insert("ct4_global".to_owned(), pressure);
            })
        };
        assert_eq!(
            found(&RULE, &with(0.93)),
            ["Map/node-a/ct4_global: map ct4_global on node-a is 93 % full"]
        );
        assert!(found(&RULE, &with(0.8)).is_empty());
    }
}
