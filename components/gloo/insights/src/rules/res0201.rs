//! RES0201: node takes hardly any more pods.

use gloo_record::{Analyzer, nodes::Node};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 201),
    severity: Severity::Warning,
    title: "Node takes hardly any more pods",
    why: "What is to be started there next will wait.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. More nodes, or a higher --max-pods of the kubelet (and a pod range that holds them).
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let crowded = |node: &&Node| node.pod_capacity > 0 && node.pods * 10 >= node.pod_capacity * 9;
    let nodes = view.nodes()?.nodes.iter().filter(crowded);
    let finding = |node: &Node| {
        let summary = format!(
            "{} runs {} of {} pods",
            node.name, node.pods, node.pod_capacity
        );
        let finding = Finding::new(Target::node(&node.name), summary).because("pods", node.pods);
        finding.because("capacity", node.pod_capacity)
    };
    Ok(nodes.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_last_tenth_of_the_places_is_told() {
        let with = |pods| Scene::healthy().nodes(|nodes| nodes.nodes[0].pods = pods);
        assert_eq!(
            found(&RULE, &with(100)),
            ["Node/node-a: node-a runs 100 of 110 pods"]
        );
        assert!(found(&RULE, &with(90)).is_empty());
    }
}
