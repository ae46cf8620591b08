//! BP0111: kernels of the nodes differ.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 111),
    severity: Severity::Info,
    title: "Kernels of the nodes differ",
    why: "What a program may do depends on the kernel. One release for all makes faults the same everywhere.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. Which node runs which: kubectl get nodes --output wide
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let nodes = view.nodes()?.nodes.iter();
    let kernels: BTreeSet<&str> = nodes.map(|node| node.kernel.as_str()).collect();
    if kernels.len() < 2 {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = kernels.into_iter().collect();
    let summary = format!("nodes run kernels {}", names.join(", "));
    Ok(vec![
        Finding::new(Target::cluster(), summary).because("kernels", names.join(", ")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn two_kernels_are_told() {
        let scene = Scene::healthy().nodes(|nodes| nodes.nodes[1].kernel = "6.1.0".to_owned());
        assert_eq!(
            found(&RULE, &scene),
            ["Cluster: nodes run kernels 6.1.0, 6.12.1"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
