//! HLT0202: node is under pressure.

use gloo_record::{Analyzer, nodes::Node};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 202),
    severity: Severity::Warning,
    title: "Node is under pressure",
    why: "The kubelet evicts pods to get memory, disk or process numbers back.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. What is short: kubectl describe node {{target.name}}
2. What uses it: kubectl top pods --all-namespaces --sort-by memory
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let pressed = |node: &&Node| !node.pressures.is_empty();
    let nodes = view.nodes()?.nodes.iter().filter(pressed);
    let finding = |node: &Node| {
        let what = node.pressures.join(", ");
        let summary = format!("{} has {what}", node.name);
        Finding::new(Target::node(&node.name), summary).because("conditions", what)
    };
    Ok(nodes.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn what_a_node_is_short_of_is_told() {
        let scene = Scene::healthy().nodes(|nodes| {
            nodes.nodes[1].pressures = vec!["DiskPressure".to_owned()];
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: node-b has DiskPressure"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
