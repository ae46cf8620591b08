//! SEC0105: policy allows everything.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 105),
    severity: Severity::Warning,
    title: "Policy allows everything",
    why: "It opens all that other policies of the same pods close: allows add up.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Say who may talk to the pods of {{target.namespace}}/{{target.name}}, or delete the policy.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let policies = view.policies()?.remarkable.iter();
    let finding = |policy: &Policy| {
        let ways = match (policy.allows_all_ingress, policy.allows_all_egress) {
            (true, true) => "ingress and egress",
            (true, false) => "ingress",
            (false, true) => "egress",
            (false, false) => return None,
        };
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        let summary = format!("{} allows all {ways}", policy.sentence());
        Some(Finding::new(target, summary).because("allows", ways))
    };
    Ok(policies.filter_map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_direction_that_is_open_is_told() {
        let with = |ingress, egress| {
            Scene::healthy().policies(|policies| {
                policies.remarkable.push(Policy {
                    kind: "NetworkPolicy".to_owned(),
                    namespace: "shop".to_owned(),
                    name: "all".to_owned(),
                    allows_all_ingress: ingress,
                    allows_all_egress: egress,
                    ..Policy::default()
                });
            })
        };
        assert_eq!(
            found(&RULE, &with(true, false)),
            ["NetworkPolicy/shop/all: NetworkPolicy shop/all allows all ingress"]
        );
        assert!(found(&RULE, &with(false, false)).is_empty());
    }
}
