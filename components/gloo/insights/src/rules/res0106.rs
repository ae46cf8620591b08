//! RES0106: identities run out.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

/// 256 to 65,535 (Cilium's numbers of a cluster).
const ALL: u64 = 65_280;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 106),
    severity: Severity::Warning,
    title: "Identities run out",
    why: "A cluster has 65,280 of them. When none is left, new kinds of pods get no network.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Which labels make so many: kubectl get ciliumidentities --output yaml
2. Keep labels that differ from pod to pod out of identities.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let used = view.operator()?.identities;
    if used * 10 < ALL * 7 {
        return Ok(Vec::new());
    }
    let summary = format!("{used} of {ALL} identities are in use");
    Ok(vec![
        Finding::new(Target::cluster(), summary).because("identities", used),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_last_third_is_told() {
        let with = |used| Scene::healthy().operator(|operator| operator.identities = used);
        assert_eq!(
            found(&RULE, &with(50_000)),
            ["Cluster: 50000 of 65280 identities are in use"]
        );
        assert!(found(&RULE, &with(40_000)).is_empty());
    }
}
