//! HLT0111: node still waits for its agent.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 111),
    severity: Severity::Warning,
    title: "Node still waits for its agent",
    why: "The taint node.cilium.io/agent-not-ready keeps pods away from it.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Is the agent on it ready? kubectl --namespace kube-system get pods --selector k8s-app=cilium --field-selector spec.nodeName={{target.name}}
2. If it is, the operator should have taken the taint away: kubectl --namespace kube-system logs --selector io.cilium/app=operator
",
    find,
};

const TAINT: &str = "node.cilium.io/agent-not-ready";

fn find(view: &View<'_>) -> Answer {
    let nodes = view.operator()?.nodes_not_ready.iter();
    let finding = |node: &String| {
        let summary = format!("{node} has the taint {TAINT}");
        Finding::new(Target::node(node), summary).because("taint", TAINT)
    };
    Ok(nodes.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn each_tainted_node_is_told() {
        let scene = Scene::healthy().operator(|operator| {
            operator.nodes_not_ready = vec!["node-a".to_owned()];
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-a: node-a has the taint node.cilium.io/agent-not-ready"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
