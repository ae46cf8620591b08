//! BP0109: Cilium logs for debugging.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 109),
    severity: Severity::Info,
    title: "Cilium logs for debugging",
    why: "It costs CPU and disk on every node, and logs say more about traffic than most want to keep.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. Set debug to false in cilium-config.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    if !view.config()?.is_true("debug") {
        return Ok(Vec::new());
    }
    let target = Target::new("ConfigMap", "kube-system", "cilium-config");
    let finding = Finding::new(target, "debug is true");
    Ok(vec![finding.because("debug", "true")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn debugging_is_told() {
        let scene = Scene::healthy().config(|config| {
            let data = config.data.as_mut().unwrap();
            data.insert("debug".to_owned(), "true".to_owned());
        });
        assert_eq!(
            found(&RULE, &scene),
            ["ConfigMap/kube-system/cilium-config: debug is true"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
