//! SEC0101: policies are not enforced.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 101),
    severity: Severity::Error,
    title: "Policies are not enforced",
    why: "With enable-policy=never every policy is accepted and none has an effect.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. Take enable-policy out of cilium-config, or set it to default.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    if view.config()?.get("enable-policy") != Some("never") {
        return Ok(Vec::new());
    }
    let target = Target::new("ConfigMap", "kube-system", "cilium-config");
    let finding = Finding::new(target, "enable-policy is never");
    Ok(vec![finding.because("enable-policy", "never")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn enforcement_switched_off_is_told() {
        let with = |mode: &str| {
            Scene::healthy().config(|config| {
                let data = config.data.as_mut().unwrap();
                data.insert("enable-policy".to_owned(), mode.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("never")),
            ["ConfigMap/kube-system/cilium-config: enable-policy is never"]
        );
        assert!(found(&RULE, &with("always")).is_empty());
    }
}
