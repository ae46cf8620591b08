//! BP0104: policy is made useless by another.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 104),
    severity: Severity::Info,
    title: "Policy is made useless by another",
    why: "Another policy allows everything for the same pods: allows add up, so this one restricts nothing.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. The other one: {{{evidence.by}}}
2. Delete one of the two, or narrow the other one.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let finding = |policy: &Policy| {
        let by = policy.shadowed_by.as_ref()?;
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        let summary = format!("{} changes nothing beside {by}", policy.sentence());
        Some(Finding::new(target, summary).because("by", by))
    };
    Ok(view
        .policies()?
        .remarkable
        .iter()
        .filter_map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_policy_and_what_stands_over_it_are_told() {
        let with = |by: Option<&str>| {
            Scene::healthy().policies(|policies| {
                policies.remarkable.push(Policy {
                    kind: "NetworkPolicy".to_owned(),
                    namespace: "shop".to_owned(),
                    name: "web".to_owned(),
                    selects: 1,
                    shadowed_by: by.map(str::to_owned),
                    ..Policy::default()
                });
            })
        };
        assert_eq!(
            found(&RULE, &with(Some("NetworkPolicy shop/all"))),
            [
                "NetworkPolicy/shop/web: NetworkPolicy shop/web changes nothing beside NetworkPolicy shop/all"
            ]
        );
        assert!(found(&RULE, &with(None)).is_empty());
    }
}
