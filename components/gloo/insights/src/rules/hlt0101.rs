//! HLT0101: Cilium agent does not answer.

use gloo_record::{Analyzer, cilium_agents::Health};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 101),
    severity: Severity::Error,
    title: "Cilium agent does not answer",
    why: "Pods of the node keep their connections, and get no new policy, no new address and no service that changed.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Look at the pod: kubectl --namespace kube-system get pods --selector k8s-app=cilium --field-selector spec.nodeName={{target.name}}
2. Read why it last ended: kubectl --namespace kube-system logs --previous --container cilium-agent {{evidence.pod}}
3. Is the node itself reachable? kubectl get node {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let agents = view.agents()?.agents.iter();
    let silent = agents.filter_map(|agent| match &agent.health {
        Health::NoAnswer(why) => {
            let summary = format!("the agent on {} does not answer: {why}", agent.pod.node);
            let finding = Finding::new(Target::node(&agent.pod.node), summary);
            Some(
                finding
                    .because("pod", &agent.pod.name)
                    .because("answer", why),
            )
        }
        Health::Ok | Health::Failing(_) => None,
    });
    Ok(silent.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn an_agent_that_gives_no_answer_is_told_by_its_node() {
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[1].health = Health::NoAnswer("connection refused".to_owned());
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: the agent on node-b does not answer: connection refused"]
        );
    }

    #[test]
    fn an_agent_that_answers_that_it_is_not_well_is_another_rules() {
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[1].health = Health::Failing("waits".to_owned());
        });
        assert!(found(&RULE, &scene).is_empty());
    }
}
