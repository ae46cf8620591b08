//! SEC0103: namespace may talk to everywhere.

use gloo_record::{Analyzer, network_policies::Namespace};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 103),
    severity: Severity::Info,
    title: "Namespace may talk to everywhere",
    why: "A pod that is taken over can reach every other one, the API server and the internet.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Deny all egress of {{target.name}} and allow what is needed, DNS among it.
2. Whom it talks to now, before you do: hubble observe --from-namespace {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let open = |one: &&Namespace| !one.system && one.egress_isolated < one.pods;
    let namespaces = view.policies()?.namespaces.iter().filter(open);
    let finding = |one: &Namespace| {
        let count = one.pods - one.egress_isolated;
        let summary = format!(
            "{count} of {} pods of namespace {} may talk to everywhere",
            one.pods, one.name
        );
        let finding = Finding::new(Target::new("Namespace", "", &one.name), summary);
        finding
            .because("pods", one.pods)
            .because("isolated", one.egress_isolated)
    };
    Ok(namespaces.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_namespace_that_may_talk_to_everywhere_is_told() {
        let scene =
            Scene::healthy().policies(|policies| policies.namespaces[0].egress_isolated = 0);
        assert_eq!(
            found(&RULE, &scene),
            ["Namespace/shop: 3 of 3 pods of namespace shop may talk to everywhere"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
