//! SEC0110: policies are only watched, not enforced.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 110),
    severity: Severity::Warning,
    title: "Policies are only watched, not enforced",
    why: "With policy-audit-mode every packet that a policy denies passes, and is only reported.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. Look at what would have been denied: hubble observe --verdict AUDIT
2. Then set policy-audit-mode to false in cilium-config.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    if !view.config()?.is_true("policy-audit-mode") {
        return Ok(Vec::new());
    }
    let target = Target::new("ConfigMap", "kube-system", "cilium-config");
    let finding = Finding::new(target, "policy-audit-mode is true");
    Ok(vec![finding.because("policy-audit-mode", "true")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn audit_mode_is_told() {
        let with = |mode: &str| {
            Scene::healthy().config(|config| {
                let data = config.data.as_mut().unwrap();
                data.insert("policy-audit-mode".to_owned(), mode.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("true")),
            ["ConfigMap/kube-system/cilium-config: policy-audit-mode is true"]
        );
        assert!(found(&RULE, &with("false")).is_empty());
    }
}
