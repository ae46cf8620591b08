//! CFG0103: node without Cilium's CNI configuration.

use gloo_record::{Analyzer, cni_configuration::Node};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 103),
    severity: Severity::Error,
    title: "Node without Cilium's CNI configuration",
    why: "The runtime has nothing to make the network of pods with: they stay in ContainerCreating.",
    evidence: &[Evidence::Record(Analyzer::CniConfiguration)],
    scope: Scope::Cluster,
    steps: "\
1. Start the node's agent anew; its init container writes the file: kubectl --namespace kube-system delete pod --selector k8s-app=cilium --field-selector spec.nodeName={{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let cni = view.cni()?;
    let bare = |node: &&Node| !node.files.contains(&cni.own);
    let finding = |node: &Node| {
        let name = &node.node;
        let summary = format!("{} is missing on {name}", cni.own);
        Finding::new(Target::node(name), summary).because("files", node.files.join(", "))
    };
    let found = cni.nodes.iter().filter(bare).map(finding).collect();
    all_of("CNI files", &cni.unknown, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_node_without_the_file_is_told() {
        let scene = Scene::healthy().cni(|cni| cni.nodes[1].files.clear());
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: 05-cilium.conflist is missing on node-b"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
