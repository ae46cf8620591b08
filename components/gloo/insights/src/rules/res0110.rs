//! RES0110: node has no port left to masquerade with.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "masquerade-without-port",
    text: "sum by (cluster_name, node) (rate(cilium_drop_count_total{cluster_name!=\"\", reason=\"No mapping for NAT masquerade\"}[5m])) or sum by (cluster_name) (cilium_version{cluster_name!=\"\"}) * 0",
    source: Source::CiliumAgents,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 110),
    severity: Severity::Warning,
    title: "Node has no port left to masquerade with",
    why: "Pods of a node reach one port of one host outside by the node's own ports, of which there are 19,760. When those are taken, new connections there fail; open ones, and those to elsewhere, go on.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Cluster,
    steps: "\
1. Since when: sum by (node) (rate(cilium_drop_count_total{reason=\"No mapping for NAT masquerade\"}[5m]))
2. Which pods, and to where: hubble observe --verdict DROPPED --node-name {{target.name}}
3. Have those pods keep their connections instead of opening one for each request, or spread them over more nodes: each has ports of its own.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let short = samples.filter(|sample| sample.value > 0.0);
    let finding = |node: &str, rate: f64| {
        let summary = format!("{rate:.1} packets per second of pods on {node} find no port");
        Finding::new(Target::node(node), summary).because("packets_per_second", rate)
    };
    Ok(short
        .map(|sample| finding(sample.label("node"), sample.value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled, sample};

    #[test]
    fn a_node_whose_pods_find_no_port_is_told_and_one_with_ports_is_not() {
        let with = |rate| labelled(rate, &[("node", "node-a")]);
        let spent = labelled(2.5, &[("node", "node-b")]);
        let scene = Scene::healthy().answer(&QUERY, &[with(0.0), spent]);
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-b: 2.5 packets per second of pods on node-b find no port"]
        );
        // Where nobody ever was without one there is no series of the reason.
        assert!(found(&RULE, &Scene::healthy().answer(&QUERY, &[sample(0.0)])).is_empty());
    }
}
