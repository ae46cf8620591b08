//! HLT0108: Cilium's operator is not available.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 108),
    severity: Severity::Error,
    title: "Cilium's operator is not available",
    why: "New nodes get no pod range and new pods no identity until it is back. What runs goes on.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Its pods: kubectl --namespace kube-system get pods --selector io.cilium/app=operator --output wide
2. Why they are not ready: kubectl --namespace kube-system describe deployment cilium-operator
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let Some(counts) = view.operator()?.deployment else {
        return Ok(Vec::new());
    };
    if counts.ready > 0 {
        return Ok(Vec::new());
    }
    let target = Target::new("Deployment", "kube-system", "cilium-operator");
    let summary = format!("none of {} replicas is ready", counts.desired);
    Ok(vec![
        Finding::new(target, summary).because("desired", counts.desired),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};
    use gloo_record::Counts;

    #[test]
    fn an_operator_without_a_ready_replica_is_told_and_one_of_two_is_enough() {
        let of = |ready| {
            let counts = Counts {
                desired: 2,
                ready,
                ..Counts::default()
            };
            Scene::healthy().operator(|operator| operator.deployment = Some(counts))
        };
        assert_eq!(found(&RULE, &of(0)).len(), 1);
        assert!(found(&RULE, &of(1)).is_empty());
    }
}
