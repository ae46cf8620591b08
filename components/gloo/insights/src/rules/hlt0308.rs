//! HLT0308: management server cannot use Redis.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "redis-errors",
    text: "sum(increase(gloo_mesh_redis_sync_err_total[5m]))",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 308),
    severity: Severity::Warning,
    title: "Management server cannot use Redis",
    why: "It works from memory. If it also starts anew, every agent has to send its whole snapshot again.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. How Redis is: gloonet explain redis
2. What the server says: kubectl --namespace gloo-mesh logs deployment/gloo-mesh-mgmt-server
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |count: f64| {
        let target = Target::new("Deployment", "gloo-mesh", "gloo-mesh-mgmt-server");
        let summary = format!("{count:.0} uses of Redis failed in five minutes");
        Finding::new(target, summary).because("errors", count)
    };
    let failed = samples.filter(|sample| sample.value >= 1.0);
    Ok(failed.map(|sample| finding(sample.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, sample};

    #[test]
    fn failures_are_counted() {
        let failed = |count| Scene::healthy().answer(&QUERY, &[sample(count)]);
        assert!(found(&RULE, &failed(3.0))[0].contains("3 uses of Redis failed"));
        assert!(found(&RULE, &failed(0.0)).is_empty());
    }
}
