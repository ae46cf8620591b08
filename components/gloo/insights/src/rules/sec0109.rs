//! SEC0109: Cilium agent may do more than it needs.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

/// What an agent that loads programs and makes devices needs; the list of this project's DaemonSet.
const NEEDED: [&str; 8] = [
    "BPF",
    "DAC_OVERRIDE",
    "NET_ADMIN",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_RESOURCE",
    "CHOWN",
    "NET_RAW",
];

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 109),
    severity: Severity::Warning,
    title: "Cilium agent may do more than it needs",
    why: "A privileged container, or one with these capabilities, owns the node. Ours needs few and says which.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. What the DaemonSet gives: kubectl --namespace kube-system get daemonset cilium --output jsonpath={.spec.template.spec.containers[0].securityContext}
2. The operator's own rendering has no more than it needs: gloonet render
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    for agent in &view.agents()?.agents {
        let more: Vec<&str> = agent
            .capabilities
            .iter()
            .map(String::as_str)
            .filter(|one| !NEEDED.contains(one))
            .collect();
        let what = if agent.privileged {
            "it is privileged".to_owned()
        } else if more.is_empty() {
            continue;
        } else {
            format!("it adds {}", more.join(", "))
        };
        let summary = format!("the agent may do more than it needs: {what}");
        let target = Target::new("DaemonSet", "kube-system", "cilium");
        all.push(Finding::new(target, summary).because("pod", &agent.pod.name));
        // One template makes all of them.
        break;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_privileged_agent_and_one_with_more_capabilities_are_told_once() {
        let scene = Scene::healthy().agents(|agents| {
            agents
                .agents
                .iter_mut()
                .for_each(|agent| agent.privileged = true);
        });
        assert_eq!(
            found(&RULE, &scene),
            ["DaemonSet/kube-system/cilium: the agent may do more than it needs: it is privileged"]
        );
        let scene = Scene::healthy().agents(|agents| {
            agents.agents[1].capabilities.push("SYS_MODULE".to_owned());
        });
        assert!(found(&RULE, &scene)[0].ends_with("it adds SYS_MODULE"));
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
