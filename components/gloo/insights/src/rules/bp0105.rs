//! BP0105: one replica of Cilium's operator only.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 105),
    severity: Severity::Info,
    title: "One replica of Cilium's operator only",
    why: "While its node is away, new pods get no identity and new nodes no pod range.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator), Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. Two replicas in a cluster of more than one node: kubectl --namespace kube-system scale deployment cilium-operator --replicas=2
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let nodes = view.nodes()?.nodes.len();
    let Some(counts) = view.operator()?.deployment.filter(|_| nodes > 1) else {
        return Ok(Vec::new());
    };
    if counts.desired != 1 {
        return Ok(Vec::new());
    }
    let target = Target::new("Deployment", "kube-system", "cilium-operator");
    let finding = Finding::new(target, "cilium-operator has one replica");
    Ok(vec![
        finding
            .because("replicas wanted", counts.desired)
            .because("nodes", nodes),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn one_replica_is_told_in_a_cluster_of_several_nodes() {
        let scene = Scene::healthy().operator(|operator| {
            operator.deployment.as_mut().unwrap().desired = 1;
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Deployment/kube-system/cilium-operator: cilium-operator has one replica"]
        );
        let scene = scene.nodes(|nodes| nodes.nodes.truncate(1));
        assert!(found(&RULE, &scene).is_empty());
    }
}
