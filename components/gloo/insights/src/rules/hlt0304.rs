//! HLT0304: snapshot of a cluster is not complete.

use crate::{
    Answer, Code, Evidence, Finding, Group, Query, Rule, Scope, Severity, Source, Target, View,
};

const QUERY: Query = Query {
    name: "clusters-not-warmed",
    // Connected all that time, and warm at no moment of it: every connection begins cold.
    text: "max by (cluster) (min_over_time(relay_push_clients_connected[2m])) - max by (cluster) (max_over_time(relay_push_clients_warmed[2m]))",
    source: Source::Management,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 304),
    severity: Severity::Warning,
    title: "Snapshot of a cluster is not complete",
    why: "Until all that the agent sees has arrived nothing is translated for the cluster.",
    evidence: &[Evidence::Metrics(&QUERY)],
    scope: Scope::Home,
    steps: "\
1. What the server says: gloonet clusters
2. Is the way slow, or the snapshot large? gloo_mesh_snapshot_objects{cluster=\"{{cluster}}\"} says how many objects came.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let samples = view.samples(&QUERY)?.into_iter();
    let cold = samples.filter(|sample| sample.value > 0.0);
    let finding = |cluster: &str| {
        let summary = format!("{cluster} is connected, and its snapshot is not complete");
        let finding = Finding::new(Target::cluster(), summary).in_cluster(cluster);
        finding.because("relay_push_clients_warmed", 0)
    };
    Ok(cold
        .map(|sample| finding(sample.label("cluster")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found, labelled};

    #[test]
    fn a_cluster_that_is_connected_and_cold_is_told_and_one_that_is_away_is_another_rules() {
        let of =
            |value| Scene::healthy().answer(&QUERY, &[labelled(value, &[("cluster", "east")])]);
        assert_eq!(found(&RULE, &of(1.0)).len(), 1);
        assert!(found(&RULE, &of(0.0)).is_empty());
        assert!(found(&RULE, &of(-1.0)).is_empty());
    }
}
