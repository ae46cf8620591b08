//! CFG0204: gloo resource has a warning.

use gloo_record::{Analyzer, gloo_components::Resource};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 204),
    severity: Severity::Warning,
    title: "Gloo resource has a warning",
    why: "It is followed, and something in it does not do what its author may think.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. The reason: {{{evidence.message}}}
2. Its status: kubectl --namespace {{target.namespace}} get {{target.kind}} {{target.name}} --output yaml
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let warned = |one: &&Resource| one.approval == "WARNING";
    let resources = view.gloo()?.resources.iter().filter(warned);
    let finding = |one: &Resource| {
        let target = Target::new(&one.kind, &one.namespace, &one.name);
        let summary = format!(
            "{} {}/{}: {}",
            one.kind, one.namespace, one.name, one.message
        );
        Finding::new(target, summary).because("message", &one.message)
    };
    Ok(resources.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_warning_is_repeated() {
        let with = |approval: &str| {
            Scene::healthy().gloo(|gloo| {
                gloo.resources.push(Resource {
                    kind: "Workspace".to_owned(),
                    namespace: "gloo-mesh".to_owned(),
                    name: "shop".to_owned(),
                    approval: approval.to_owned(),
                    message: "it selects no namespace".to_owned(),
                });
            })
        };
        assert_eq!(
            found(&RULE, &with("WARNING")),
            ["Workspace/gloo-mesh/shop: Workspace gloo-mesh/shop: it selects no namespace"]
        );
        assert!(found(&RULE, &with("PENDING")).is_empty());
    }
}
