//! RES0107: packets are dropped for a reason that is no policy.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "drops-by-reason",
    // That ports run out is a rule of its own.
    text: "sum by (cluster_name, reason) (rate(cilium_drop_count_total{cluster_name!=\"\", reason!~\"Policy denied.*|No mapping for NAT masquerade\"}[5m])) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};
/// Packets per second.
const MANY: f64 = 10.0;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 107),
    severity: Severity::Warning,
    title: "Packets are dropped for a reason that is no policy",
    why: "A policy drops what it is meant to. Other reasons (maps full, no route, fragments, bad checksums) are faults.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Where and why: sum by (instance, reason) (rate(cilium_drop_count_total[5m]))
2. Which flows: hubble observe --verdict DROPPED
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let many = samples.filter(|sample| sample.value > MANY);
    let finding = |reason: &str, rate: f64| {
        let summary = format!("{rate:.0} packets per second are dropped: {reason}");
        let finding = Finding::new(Target::new("DropReason", "", reason), summary);
        finding.because("packets_per_second", rate)
    };
    Ok(many
        .map(|sample| finding(sample.label("reason"), sample.value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled};

    #[test]
    fn a_rate_is_told_with_its_reason() {
        let with = |rate| {
            let labels = [("reason", "CT: Map insertion failed")];
            Scene::healthy().answer(&QUERY, &[labelled(rate, &labels)])
        };
        assert!(
            found(&RULE, &with(90.0))[0]
                .ends_with("90 packets per second are dropped: CT: Map insertion failed")
        );
        assert!(found(&RULE, &with(1.0)).is_empty());
    }
}
