//! HLT0201: node is not ready.

use gloo_record::{Analyzer, nodes::Node};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 201),
    severity: Severity::Error,
    title: "Node is not ready",
    why: "Its pods are given up after some minutes and started elsewhere.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. What the kubelet last said: kubectl describe node {{target.name}}
2. On the node: systemctl status kubelet, and free disk and memory.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let nodes = view.nodes()?.nodes.iter().filter(|node| !node.ready);
    let finding = |node: &Node| {
        let summary = format!("{} is not ready", node.name);
        Finding::new(Target::node(&node.name), summary).because("kubelet", &node.kubelet)
    };
    Ok(nodes.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_node_that_is_not_ready_is_told() {
        let scene = Scene::healthy().nodes(|nodes| nodes.nodes[0].ready = false);
        assert_eq!(found(&RULE, &scene), ["Node/node-a: node-a is not ready"]);
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
