//! HLT0110: node without a pod range.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 110),
    severity: Severity::Error,
    title: "Node without a pod range",
    why: "Pods on it get no address.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Is the pool used up? gloonet insights --code RES0104
2. What the operator says of the node: kubectl get ciliumnode {{target.name}} --output yaml
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let operator = view.operator()?;
    let nodes = operator.nodes_without_pod_cidr.iter();
    let finding = |node: &String| {
        let summary = format!("{node} has no pod range");
        Finding::new(Target::node(node), summary)
            .because("pod ranges given to nodes", operator.pod_cidrs_used)
    };
    Ok(nodes.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn each_node_without_a_range_is_told() {
        let scene = Scene::healthy().operator(|operator| {
            operator.nodes_without_pod_cidr = vec!["node-b".to_owned()];
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: node-b has no pod range"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
