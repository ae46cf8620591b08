//! HLT0307: translation is slow.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "translation-seconds-p99",
    text: "(histogram_quantile(0.99, sum by (le) (rate(gloo_mesh_translation_time_sec_bucket[10m]))) >= 0) or count(relay_push_clients_connected) * 0",
    source: Source::Management,
};
/// Seconds; Gloo's own alert says 10.
const SLOW: f64 = 5.0;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 307),
    severity: Severity::Warning,
    title: "Translation is slow",
    why: "The time from a change to its effect grows with it.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. How long, and since when: dashboard \"GlooNetwork / Management plane\".
2. More CPU for the server: spec.gloo.managementServer.resources; more replicas: spec.gloo.managementServer.replicas.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |seconds: f64| {
        let target = Target::new("Deployment", "gloo-mesh", "gloo-mesh-mgmt-server");
        let summary = format!("one translation in a hundred takes {seconds:.1} s or more");
        Finding::new(target, summary).because("seconds_p99", seconds)
    };
    let slow = samples.filter(|sample| sample.value > SLOW);
    Ok(slow.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn seconds_are_told_and_a_fast_translation_is_not() {
        let took = |seconds| Scene::healthy().answer(&QUERY, &[sample(seconds)]);
        assert!(found(&RULE, &took(12.34))[0].ends_with("takes 12.3 s or more"));
        assert!(found(&RULE, &took(0.4)).is_empty());
    }
}
