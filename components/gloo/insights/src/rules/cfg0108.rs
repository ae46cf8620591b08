//! CFG0108: policy is not valid.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 108),
    severity: Severity::Error,
    title: "Policy is not valid",
    why: "A rule with something that is not supported fails closed: nothing that only it would allow is allowed.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. The reason: {{{evidence.reason}}}
2. Its status: kubectl --namespace {{target.namespace}} get {{target.kind}} {{target.name}} --output yaml
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let finding = |policy: &Policy| {
        let reason = policy.invalid.as_ref()?;
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        let summary = format!("{} is not valid: {reason}", policy.sentence());
        Some(Finding::new(target, summary).because("reason", reason))
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
    fn the_reason_is_repeated() {
        let scene = Scene::healthy().policies(|policies| {
            policies.remarkable.push(Policy {
                kind: "CiliumNetworkPolicy".to_owned(),
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                selects: 1,
                invalid: Some("toFQDNs is not supported".to_owned()),
                ..Policy::default()
            });
        });
        assert_eq!(
            found(&RULE, &scene),
            [
                "CiliumNetworkPolicy/shop/web: CiliumNetworkPolicy shop/web is not valid: toFQDNs is not supported"
            ]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
