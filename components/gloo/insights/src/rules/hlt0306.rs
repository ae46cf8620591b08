//! HLT0306: gloo resources that are not followed.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "translation-errors",
    text: "sum by (gvk, exported_namespace) (translation_error) or count(relay_push_clients_connected) * 0",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 306),
    severity: Severity::Error,
    title: "Gloo resources that are not followed",
    why: "What they want is not in force; the last version that could be followed is.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. Which ones: kubectl get workspaces,workspacesettings,accesspolicies --all-namespaces
2. Why: status.common.State.message of each that is INVALID or FAILED.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let wrong = samples.filter(|sample| sample.value > 0.0);
    let finding = |count: f64, gvk: &str, namespace: &str| {
        let kind = gvk.rsplit('/').next().unwrap_or_default();
        let summary = format!("{count} of kind {kind} in namespace {namespace} are not followed");
        let finding = Finding::new(Target::new(kind, namespace, ""), summary);
        finding
            .because("translation_error", count)
            .because("gvk", gvk)
    };
    Ok(wrong
        .map(|sample| {
            let namespace = sample.label("exported_namespace");
            finding(sample.value, sample.label("gvk"), namespace)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled};

    #[test]
    fn resources_that_are_not_followed_are_counted_by_kind_and_namespace() {
        let labels = [
            ("gvk", "security.policy.gloo.solo.io/v2/AccessPolicy"),
            ("exported_namespace", "shop"),
        ];
        let scene = Scene::healthy().answer(&QUERY, &[labelled(2.0, &labels)]);
        assert_eq!(
            found(&RULE, &scene),
            ["AccessPolicy/shop: 2 of kind AccessPolicy in namespace shop are not followed"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
