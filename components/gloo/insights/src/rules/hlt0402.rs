//! HLT0402: collectors cannot send.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "telemetry-send-failed",
    text: "(sum by (cluster_name) (rate(otelcol_exporter_send_failed_metric_points_total{cluster_name!=\"\"}[5m])) or sum by (cluster_name) (otelcol_process_uptime_total{cluster_name!=\"\"}) * 0) + (sum by (cluster_name) (rate(otelcol_exporter_send_failed_log_records_total{cluster_name!=\"\"}[5m])) or sum by (cluster_name) (otelcol_process_uptime_total{cluster_name!=\"\"}) * 0)",
    source: Source::Collectors,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 402),
    severity: Severity::Warning,
    title: "Collectors cannot send",
    why: "What they scraped is lost: dashboards and insights have gaps.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. What the collectors say: kubectl --namespace gloo-mesh logs daemonset/gloo-telemetry-collector-agent
2. Does the gateway answer, and is the certificate valid? gloonet explain telemetry-gateway
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |rate: f64| {
        let target = Target::new("DaemonSet", "gloo-mesh", "gloo-telemetry-collector-agent");
        let summary = format!("{rate:.1} points and records per second are lost");
        Finding::new(target, summary).because("lost_per_second", rate)
    };
    let lossy = samples.filter(|sample| sample.value > 0.0);
    Ok(lossy.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn a_loss_is_told_with_its_rate() {
        let lost = |rate| Scene::healthy().answer(&QUERY, &[sample(rate)]);
        assert!(
            found(&RULE, &lost(2.5))[0].ends_with("2.5 points and records per second are lost")
        );
        assert!(found(&RULE, &lost(0.0)).is_empty());
    }
}
