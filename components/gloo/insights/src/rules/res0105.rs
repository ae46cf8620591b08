//! RES0105: identities come and go.

use crate::{Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Target, View};

const QUERY: Query = Query {
    name: "identity-churn",
    text: "sum by (cluster_name) (rate(cilium_policy_incremental_update_duration_count{cluster_name!=\"\"}[10m])) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    scope: Scope::Cluster,
};
/// Updates per second over all nodes.
const MANY: f64 = 20.0;

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
        let summary =
            format!("policies are updated {rate:.0} times per second because of identities");
        Finding::new(Target::cluster(), summary).because("updates_per_second", rate)
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
        assert!(found(&RULE, &with(55.0))[0].contains("updated 55 times per second"));
        assert!(found(&RULE, &with(5.0)).is_empty());
    }
}
