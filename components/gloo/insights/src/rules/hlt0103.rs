//! HLT0103: Cilium does not run on every node.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 103),
    severity: Severity::Error,
    title: "Cilium does not run on every node",
    why: "A node without an agent gives no network to new pods.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which pods are missing or not ready: kubectl --namespace kube-system get pods --selector k8s-app=cilium --output wide
2. Why: kubectl --namespace kube-system describe daemonset cilium
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let target = Target::new("DaemonSet", "kube-system", "cilium");
    let Some(counts) = view.agents()?.daemonset else {
        // Another CNI is no fault; agents without a DaemonSet are none of Cilium's.
        return Ok(Vec::new());
    };
    if counts.ready >= counts.desired {
        return Ok(Vec::new());
    }
    let summary = format!("{} of {} agents are ready", counts.ready, counts.desired);
    let finding = Finding::new(target, summary).because("ready", counts.ready);
    Ok(vec![finding.because("desired", counts.desired)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};
    use gloo_record::Counts;

    #[test]
    fn missing_agents_are_counted() {
        let of = |ready| {
            let counts = Counts {
                desired: 3,
                ready,
                ..Counts::default()
            };
            Scene::healthy().agents(|agents| agents.daemonset = Some(counts))
        };
        let told = ["DaemonSet/kube-system/cilium: 2 of 3 agents are ready"];
        assert_eq!(found(&RULE, &of(2)), told);
        assert!(found(&RULE, &of(3)).is_empty());
    }
}
