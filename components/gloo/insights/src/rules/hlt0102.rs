//! HLT0102: Cilium agent says that it is not well.

use gloo_record::{Analyzer, cilium_agents::Health};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 102),
    severity: Severity::Error,
    title: "Cilium agent says that it is not well",
    why: "The agent knows what keeps it from doing its work. New pods of the node may get no network.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. What it says: {{{evidence.words}}}
2. Ask it for more: kubectl --namespace kube-system exec {{evidence.pod}} --container cilium-agent -- cilium status
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let agents = view.agents()?.agents.iter();
    let failing = agents.filter_map(|agent| match &agent.health {
        Health::Failing(words) => {
            let summary = format!("the agent on {} is not well: {words}", agent.pod.node);
            let finding = Finding::new(Target::node(&agent.pod.node), summary);
            Some(
                finding
                    .because("pod", &agent.pod.name)
                    .because("words", words),
            )
        }
        Health::Ok | Health::NoAnswer(_) => None,
    });
    Ok(failing.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_agents_own_words_are_repeated() {
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[0].health = Health::Failing("waits for its podCIDR".to_owned());
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-a: the agent on node-a is not well: waits for its podCIDR"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
