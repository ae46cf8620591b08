//! CFG0102: another CNI's configuration comes first on a node.

use gloo_record::{Analyzer, cni_configuration::Node};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 102),
    severity: Severity::Error,
    title: "Another CNI's configuration comes first on a node",
    why: "The runtime takes the first file: new pods get their network from the other plugin, without policy.",
    evidence: &[Evidence::Record(Analyzer::CniConfiguration)],
    scope: Scope::Cluster,
    steps: "\
1. Remove the file on {{target.name}}: /etc/cni/net.d/{{evidence.file}}
2. Or start the node's agent anew; it renames what is not its own: kubectl --namespace kube-system delete pod --selector k8s-app=cilium --field-selector spec.nodeName={{target.name}}
3. Pods that were made meanwhile have to be made again: gloonet insights --code HLT0106
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let cni = view.cni()?;
    let foreign = |node: &Node| node.files.first().filter(|file| **file != cni.own).cloned();
    let finding = |node: &Node| {
        let file = foreign(node)?;
        let name = &node.node;
        let summary = format!("{file} comes before {} on {name}", cni.own);
        Some(Finding::new(Target::node(name), summary).because("file", file))
    };
    let found = cni.nodes.iter().filter_map(finding).collect();
    all_of("CNI files", &cni.unknown, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_file_before_ours_is_told_and_one_after_it_is_another_rules() {
        let with = |file: &str| {
            Scene::healthy().cni(|cni| {
                cni.nodes[0].files.push(file.to_owned());
                cni.nodes[0].files.sort();
            })
        };
        assert_eq!(
            found(&RULE, &with("00-other.conf")),
            ["Node/node-a: 00-other.conf comes before 05-cilium.conflist on node-a"]
        );
        assert!(found(&RULE, &with("99-other.conf")).is_empty());
    }
}
