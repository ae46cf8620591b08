//! SEC0104: policy lets the world in.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 104),
    severity: Severity::Warning,
    title: "Policy lets the world in",
    why: "Everybody who reaches a node or a load balancer reaches the pods it selects.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Is this meant to be public? Then suppress this insight with the reason (InsightsConfig, suppressions).
2. Otherwise name the ranges that may come in: fromCIDR or ipBlock.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let policies = view.policies()?.remarkable.iter();
    let finding = |policy: &Policy| {
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        let summary = format!(
            "{} lets the world in to {} pods",
            policy.sentence(),
            policy.selects
        );
        Finding::new(target, summary).because("pods", policy.selects)
    };
    Ok(policies
        .filter(|policy| policy.from_world)
        .map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_policy_that_names_the_world_is_told() {
        let with = |from_world| {
            Scene::healthy().policies(|policies| {
                policies.remarkable.push(Policy {
                    kind: "CiliumNetworkPolicy".to_owned(),
                    namespace: "shop".to_owned(),
                    name: "web".to_owned(),
                    selects: 2,
                    from_world,
                    ..Policy::default()
                });
            })
        };
        assert_eq!(
            found(&RULE, &with(true)),
            [
                "CiliumNetworkPolicy/shop/web: CiliumNetworkPolicy shop/web lets the world in to 2 pods"
            ]
        );
        assert!(found(&RULE, &with(false)).is_empty());
    }
}
