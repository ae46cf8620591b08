//! CFG0203: gloo resource is refused.

use gloo_record::{Analyzer, gloo_components::Resource};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 203),
    severity: Severity::Error,
    title: "Gloo resource is refused",
    why: "What it wants is not in force.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. The reason: {{{evidence.message}}}
2. Its status: kubectl --namespace {{target.namespace}} get {{target.kind}} {{target.name}} --output yaml
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let refused = |one: &&Resource| matches!(one.approval.as_str(), "INVALID" | "FAILED");
    let resources = view.gloo()?.resources.iter().filter(refused);
    let finding = |one: &Resource| {
        let target = Target::new(&one.kind, &one.namespace, &one.name);
        let summary = format!(
            "{} {}/{} is {}: {}",
            one.kind, one.namespace, one.name, one.approval, one.message
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
    fn a_refused_resource_is_told_and_one_with_a_warning_is_another_rules() {
        let with = |approval: &str| {
            Scene::healthy().gloo(|gloo| {
                gloo.resources.push(Resource {
                    kind: "AccessPolicy".to_owned(),
                    namespace: "shop".to_owned(),
                    name: "web".to_owned(),
                    approval: approval.to_owned(),
                    message: "port 0".to_owned(),
                });
            })
        };
        assert_eq!(
            found(&RULE, &with("INVALID")),
            ["AccessPolicy/shop/web: AccessPolicy shop/web is INVALID: port 0"]
        );
        assert!(found(&RULE, &with("WARNING")).is_empty());
    }
}
