//! RES0105: identities come and go.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "identity-churn",
    // Every agent hears of each; one that starts, or lists anew, hears of all there are, and of none that goes.
    text: "max by (cluster_name) (sum by (cluster_name, node) (rate(cilium_kubernetes_events_total{cluster_name!=\"\", scope=\"CiliumIdentity\", action=\"delete\"}[10m]))) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};
/// Per second, however many nodes there are: three hundred in ten minutes.
const MANY: f64 = 0.5;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 105),
    severity: Severity::Warning,
    title: "Identities come and go",
    why: "Each new identity is told to every node and every policy is looked at again. A label that changes with every pod makes one for each.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Which labels: kubectl get ciliumidentities --output yaml
2. Keep changing labels (hashes, times) out of pods, or out of identities.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |rate: f64| {
        let summary = format!("{rate:.1} identities go per second");
        Finding::new(Target::cluster(), summary).because("identities_gone_per_second", rate)
    };
    let busy = samples.filter(|sample| sample.value > MANY);
    Ok(busy.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn a_high_rate_is_told() {
        let with = |rate| Scene::healthy().answer(&QUERY, &[sample(rate)]);
        let told = ["Cluster: 2.0 identities go per second"];
        assert_eq!(found(&RULE, &with(2.0)), told);
        assert!(found(&RULE, &with(0.1)).is_empty());
    }
}
