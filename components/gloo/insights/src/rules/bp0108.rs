//! BP0108: store that forgets.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 108),
    severity: Severity::Info,
    title: "Store that forgets",
    why: "What {{evidence.store}} holds is lost with its pod: history of metrics, or the snapshots that spare agents a full resend.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Give it a volume: spec.prometheus.managed.storage, spec.redis.managed.storage
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let Some(network) = &view.gloo()?.network else {
        return Ok(Vec::new());
    };
    let finding = |store: &String| {
        let target = Target::new("Deployment", "gloo-mesh", store);
        let summary = format!("{store} keeps nothing when its pod goes");
        Finding::new(target, summary).because("store", store)
    };
    Ok(network.volatile_stores.iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn each_store_without_a_volume_is_told() {
        let scene = Scene::healthy().gloo(|gloo| {
            gloo.network.as_mut().unwrap().volatile_stores = vec!["prometheus-server".to_owned()];
        });
        assert_eq!(
            found(&RULE, &scene),
            [
                "Deployment/gloo-mesh/prometheus-server: prometheus-server keeps nothing when its pod goes"
            ]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
