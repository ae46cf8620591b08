//! CFG0106: pods of different nodes have different MTUs.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

use std::collections::BTreeMap;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 106),
    severity: Severity::Warning,
    title: "Pods of different nodes have different MTUs",
    why: "Packets that fit on one node have to be cut or are lost on the way to another.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. Give all nodes' devices the same MTU, or set it for all: spec.cilium.routing.mtu
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut sizes: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    let nodes = view.nodes()?;
    for node in &nodes.nodes {
        let mtu = node.seen.as_ref().map_or(0, |seen| seen.pod_mtu);
        if mtu > 0 {
            sizes.entry(mtu).or_default().push(&node.name);
        }
    }
    if sizes.len() < 2 {
        return all_of("MTUs", &view.unseen(nodes), Vec::new());
    }
    let named: Vec<String> = sizes.keys().map(ToString::to_string).collect();
    let summary = format!("pods have MTUs of {} bytes", named.join(", "));
    let mut finding = Finding::new(Target::cluster(), summary);
    for (mtu, nodes) in sizes {
        finding = finding.because(&mtu.to_string(), nodes.join(", "));
    }
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn different_sizes_are_told_with_their_nodes() {
        let scene = Scene::healthy().nodes(|nodes| {
            nodes.nodes[1].seen.as_mut().unwrap().pod_mtu = 8950;
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Cluster: pods have MTUs of 1450, 8950 bytes"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
