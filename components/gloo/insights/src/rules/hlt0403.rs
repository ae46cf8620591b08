//! HLT0403: telemetry gateway refuses what it gets.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "gateway-refused",
    text: "((sum(rate(otelcol_receiver_refused_metric_points{job=\"gloo-telemetry-gateway\"}[5m])) or vector(0)) + (sum(rate(otelcol_receiver_refused_log_records{job=\"gloo-telemetry-gateway\"}[5m])) or vector(0))) and on() (count(up{job=\"gloo-telemetry-gateway\"} == 1) > 0)",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 403),
    severity: Severity::Warning,
    title: "Telemetry gateway refuses what it gets",
    why: "It is over its memory limit; senders keep what it refuses as long as they can, and then it is lost.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. Raise spec.telemetry.gateway.resources or spec.telemetry.gateway.replicas of the GlooNetwork.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |rate: f64| {
        let target = Target::new("Deployment", "gloo-mesh", "gloo-telemetry-gateway");
        let summary = format!("{rate:.1} points and records per second are refused");
        Finding::new(target, summary).because("refused_per_second", rate)
    };
    let refusing = samples.filter(|sample| sample.value > 0.0);
    Ok(refusing.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn refusals_are_told_with_their_rate() {
        let refused = |rate| Scene::healthy().answer(&QUERY, &[sample(rate)]);
        assert!(
            found(&RULE, &refused(9.0))[0]
                .ends_with("9.0 points and records per second are refused")
        );
        assert!(found(&RULE, &refused(0.0)).is_empty());
    }
}
