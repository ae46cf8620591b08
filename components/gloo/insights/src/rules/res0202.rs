//! RES0202: Redis is nearly full.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "redis-memory-share",
    // maxmemory 0 is no limit, and then it is never full.
    text: "max(gloonet_probe_value{component=\"redis\", value=\"used_memory\"}) / max(gloonet_probe_value{component=\"redis\", value=\"maxmemory\"} > 0) or max(gloonet_probe_value{component=\"redis\", value=\"used_memory\"}) * 0",
    source: Source::Management,
};
/// Share of its limit.
const FULL: f64 = 0.8;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 202),
    severity: Severity::Warning,
    title: "Redis is nearly full",
    why: "When it is full it refuses writes: snapshots are no longer kept, and insights and logs get old.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. What fills it: redis-cli --bigkeys
2. More memory: spec.redis.managed.resources
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let finding = |share: f64| {
        let target = Target::new("Deployment", "gloo-mesh", "gloo-mesh-redis");
        let summary = format!("{:.0} % of Redis' memory is in use", share * 100.0);
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
        assert!(found(&RULE, &with(0.91))[0].ends_with("91 % of Redis' memory is in use"));
        assert!(found(&RULE, &with(0.5)).is_empty());
    }
}
