//! BP0103: policy selects no pod.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 103),
    severity: Severity::Info,
    title: "Policy selects no pod",
    why: "It does nothing. Its labels may be misspelt, or what it was for is gone.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. What it selects: kubectl --namespace {{target.namespace}} get {{target.kind}} {{target.name}} --output yaml
2. Mend the labels, or delete it.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let policies = view.policies()?.remarkable.iter();
    let finding = |policy: &Policy| {
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        Finding::new(target, format!("{} selects no pod", policy.sentence()))
            .because("pods selected", policy.selects)
    };
    Ok(policies
        .filter(|policy| policy.selects == 0)
        .map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_policy_without_pods_is_told() {
        let with = |selects| {
            Scene::healthy().policies(|policies| {
                policies.remarkable.push(Policy {
                    kind: "NetworkPolicy".to_owned(),
                    namespace: "shop".to_owned(),
                    name: "old".to_owned(),
                    selects,
                    ..Policy::default()
                });
            })
        };
        assert_eq!(
            found(&RULE, &with(0)),
            ["NetworkPolicy/shop/old: NetworkPolicy shop/old selects no pod"]
        );
        assert!(found(&RULE, &with(1)).is_empty());
    }
}
