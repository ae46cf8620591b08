//! RES0102: BPF map will be full soon.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "map-pressure-in-four-hours",
    text: "max by (cluster_name, node, map_name) (predict_linear(cilium_bpf_map_pressure{cluster_name!=\"\"}[30m], 4 * 3600) and cilium_bpf_map_pressure{cluster_name!=\"\"} > 0.3) or max by (cluster_name) (cilium_bpf_map_pressure{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 102),
    severity: Severity::Warning,
    title: "BPF map will be full soon",
    why: "At the pace of the last half hour it is full within four hours.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Which map of which node: predict_linear(cilium_bpf_map_pressure[30m], 4 * 3600)
2. What grows: connections, identities, services? cilium_bpf_map_pressure over time says.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let full = samples.filter(|sample| sample.value >= 1.0);
    let finding = |node: &str, map: &str| {
        let summary = format!("map {map} on {node} will be full within four hours");
        Finding::new(Target::new("Map", node, map), summary).because("map_name", map)
    };
    Ok(full
        .map(|sample| finding(sample.label("node"), sample.label("map_name")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled};

    #[test]
    fn a_map_that_fills_is_told_before_it_is_full() {
        let with = |value| {
            let labels = [("node", "node-a"), ("map_name", "ct4_global")];
            Scene::healthy().answer(&QUERY, &[labelled(value, &labels)])
        };
        assert_eq!(
            found(&RULE, &with(1.2)),
            ["Map/node-a/ct4_global: map ct4_global on node-a will be full within four hours"]
        );
        assert!(found(&RULE, &with(0.7)).is_empty());
    }
}
