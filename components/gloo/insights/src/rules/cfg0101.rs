//! CFG0101: agents run with another configuration than cilium-config says.

use gloo_record::{Analyzer, cilium_config::Running};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 101),
    severity: Severity::Warning,
    title: "Agents run with another configuration than cilium-config says",
    why: "Two nodes with different configuration treat the same packet differently, and nobody sees which is which.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. What differs: kubectl --namespace kube-system get configmap cilium-config --output yaml
2. Let the agents read it: kubectl --namespace kube-system rollout restart daemonset cilium
3. The operator writes this ConfigMap; a change by hand is taken back. Change spec.cilium of the GlooNetwork instead.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let config = view.config()?;
    let other = |node: &&Running| node.digest != config.digest;
    let nodes = config.nodes.iter().filter(other);
    let finding = |node: &Running| {
        let name = &node.node;
        let summary = format!("the agent on {name} started with another cilium-config");
        let finding = Finding::new(Target::node(name), summary);
        finding
            .because("digest", &node.digest)
            .because("wanted", &config.digest)
    };
    let found = nodes.map(finding).collect();
    all_of("configuration", &config.unknown, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_node_with_another_digest_is_told() {
        let scene = Scene::healthy().config(|config| config.nodes[1].digest = "d0".to_owned());
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: the agent on node-b started with another cilium-config"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
