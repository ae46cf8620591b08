//! RES0203: queue of a collector fills.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "telemetry-queue-share",
    text: "max by (cluster_name) (otelcol_exporter_queue_size{cluster_name!=\"\"} / (otelcol_exporter_queue_capacity{cluster_name!=\"\"} > 0))",
    source: Source::Collectors,
};
/// Share of its places.
const FULL: f64 = 0.7;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 203),
    severity: Severity::Warning,
    title: "Queue of a collector fills",
    why: "The gateway does not keep up or does not answer; what does not fit is lost.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Does the gateway answer? gloonet explain telemetry-gateway
2. More replicas of it: spec.telemetry.gateway.replicas
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |share: f64| {
        let target = Target::new("DaemonSet", "gloo-mesh", "gloo-telemetry-collector-agent");
        let summary = format!("a collector's queue is {:.0} % full", share * 100.0);
        Finding::new(target, summary).because("share", share)
    };
    let full = samples.filter(|sample| sample.value > FULL);
    Ok(full.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn a_share_over_the_limit_is_told() {
        let with = |share| Scene::healthy().answer(&QUERY, &[sample(share)]);
        assert!(found(&RULE, &with(0.9))[0].ends_with("a collector's queue is 90 % full"));
        assert!(found(&RULE, &with(0.1)).is_empty());
    }
}
