//! HLT0203: clock of a node is off.

use gloo_record::{Analyzer, nodes::Node};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Of the analyzer's clock, which is a node's too. Certificates are made valid five minutes back.
const OFF_MS: i64 = 2_000;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 203),
    severity: Severity::Warning,
    title: "Clock of a node is off",
    why: "Certificates of hours are refused by a clock that is minutes off, and times in logs and flows do not fit together.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. On the node: timedatectl, and whether chronyd or systemd-timesyncd runs.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let ahead = |node: &Node| node.seen.as_ref().map_or(0, |seen| seen.clock_ahead_ms);
    let nodes = view.nodes()?;
    let wrong = nodes.nodes.iter().filter(|node| ahead(node).abs() > OFF_MS);
    let finding = |node: &Node| {
        let ms = ahead(node);
        let way = if ms > 0 { "ahead of" } else { "behind" };
        let off = ms.abs() / 1000;
        let summary = format!("the clock of {} is {off} s {way} the analyzer's", node.name);
        Finding::new(Target::node(&node.name), summary).because("milliseconds_ahead", ms)
    };
    all_of("clocks", &view.unseen(nodes), wrong.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_clock_far_off_is_told_with_its_direction_and_a_little_is_nothing() {
        let off = |ms| {
            Scene::healthy().nodes(|nodes| {
                nodes.nodes[0].seen.as_mut().unwrap().clock_ahead_ms = ms;
            })
        };
        assert_eq!(
            found(&RULE, &off(-7_500)),
            ["Node/node-a: the clock of node-a is 7 s behind the analyzer's"]
        );
        assert!(found(&RULE, &off(1_500)).is_empty());
    }
}
