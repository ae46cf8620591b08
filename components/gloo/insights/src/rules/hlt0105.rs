//! HLT0105: Cilium agent restarts again and again.

use gloo_record::{Analyzer, cilium_agents::Agent};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

/// Restarts that an upgrade or a reboot do not explain.
const MANY: u32 = 3;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 105),
    severity: Severity::Warning,
    title: "Cilium agent restarts again and again",
    why: "Each start takes the agent's attention from its pods. A reason such as OOMKilled does not go away by itself.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Why it ended: kubectl --namespace kube-system describe pod {{evidence.pod}}
2. Its last words: kubectl --namespace kube-system logs --previous {{evidence.pod}} --container cilium-agent
3. If the reason is OOMKilled, raise spec.cilium.resources of the GlooNetwork.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let agents = view.agents()?.agents.iter();
    let restless = agents.filter(|agent| {
        let killed = agent.pod.trouble.as_deref() == Some("OOMKilled");
        agent.pod.restarts > MANY || killed
    });
    let finding = |agent: &Agent| {
        let (node, restarts) = (&agent.pod.node, agent.pod.restarts);
        let trouble = agent.pod.trouble.as_deref().unwrap_or("unknown");
        let summary =
            format!("the agent on {node} restarted {restarts} times, last because of: {trouble}");
        let finding = Finding::new(Target::node(node), summary);
        finding
            .because("pod", &agent.pod.name)
            .because("restarts", restarts)
    };
    Ok(restless.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn many_restarts_and_a_kill_for_memory_are_told_and_few_are_not() {
        let restarted = |restarts, trouble: Option<&str>| {
            Scene::healthy().agents(|agents| {
                agents.agents[0].pod.restarts = restarts;
                agents.agents[0].pod.trouble = trouble.map(str::to_owned);
            })
        };
        assert!(found(&RULE, &restarted(3, Some("Error"))).is_empty());
        assert_eq!(found(&RULE, &restarted(4, Some("Error"))).len(), 1);
        assert!(found(&RULE, &restarted(1, Some("OOMKilled")))[0].ends_with("OOMKilled"));
    }
}
