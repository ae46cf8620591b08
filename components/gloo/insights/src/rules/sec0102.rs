//! SEC0102: namespace takes traffic from everywhere.

use gloo_record::{Analyzer, network_policies::Namespace};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 102),
    severity: Severity::Warning,
    title: "Namespace takes traffic from everywhere",
    why: "Some pods of it are selected by no ingress policy: whoever reaches the pod network reaches them.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Deny all ingress of {{target.name}} and allow what is needed; a NetworkPolicy with podSelector {} and policyTypes [Ingress] does the first.
2. What talks to it now, before you do: hubble observe --to-namespace {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let open = |one: &&Namespace| !one.system && one.ingress_isolated < one.pods;
    let namespaces = view.policies()?.namespaces.iter().filter(open);
    let finding = |one: &Namespace| {
        let count = one.pods - one.ingress_isolated;
        let summary = format!(
            "{count} of {} pods of namespace {} take traffic from everywhere",
            one.pods, one.name
        );
        let finding = Finding::new(Target::new("Namespace", "", &one.name), summary);
        finding
            .because("pods", one.pods)
            .because("isolated", one.ingress_isolated)
    };
    Ok(namespaces.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn an_open_namespace_is_told_unless_it_is_the_systems() {
        let with = |system| {
            Scene::healthy().policies(|policies| {
                policies.namespaces[0].ingress_isolated = 1;
                policies.namespaces[0].system = system;
            })
        };
        assert_eq!(
            found(&RULE, &with(false)),
            ["Namespace/shop: 2 of 3 pods of namespace shop take traffic from everywhere"]
        );
        assert!(found(&RULE, &with(true)).is_empty());
    }
}
