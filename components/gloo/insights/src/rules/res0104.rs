//! RES0104: pool of pod ranges is nearly used up.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 104),
    severity: Severity::Warning,
    title: "Pool of pod ranges is nearly used up",
    why: "A node that joins when none is left gets no pods.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Add a range: spec.cilium.ipam.clusterPoolIPv4CIDRs
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let operator = view.operator()?;
    let (used, total) = match operator.pod_cidrs_total {
        Some(total) if total > 0 => (operator.pod_cidrs_used, total),
        _ => return Ok(Vec::new()),
    };
    if used * 10 < total * 9 {
        return Ok(Vec::new());
    }
    let summary = format!("{used} of {total} pod ranges are given to nodes");
    let finding = Finding::new(Target::cluster(), summary).because("used", used);
    Ok(vec![finding.because("total", total)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_last_tenth_of_the_ranges_is_told() {
        let with = |used| Scene::healthy().operator(|operator| operator.pod_cidrs_used = used);
        assert_eq!(
            found(&RULE, &with(240)),
            ["Cluster: 240 of 256 pod ranges are given to nodes"]
        );
        assert!(found(&RULE, &with(200)).is_empty());
    }
}
