//! RES0103: node is short of pod addresses.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Share of the addresses in use.
const SHORT: f64 = 0.9;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Res, 103),
    severity: Severity::Warning,
    title: "Node is short of pod addresses",
    why: "New pods on it stay in ContainerCreating when none is left.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Fewer pods on {{target.name}}, or a larger spec.cilium.ipam.maskSize for new nodes.
",
    find,
};

#[expect(
    clippy::cast_precision_loss,
    reason = "a node's addresses are some hundreds"
)]
fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let counts = agent.metrics.as_ref().and_then(|metrics| {
            Some((
                metrics.addresses_used?,
                metrics.addresses_total.filter(|total| *total > 0)?,
            ))
        });
        if let Some((used, total)) = counts
            && used as f64 > total as f64 * SHORT
        {
            let node = &agent.pod.node;
            let summary = format!("{used} of {total} pod addresses of {node} are in use");
            let finding = Finding::new(Target::node(node), summary).because("used", used);
            all.push(finding.because("total", total));
        }
    }
    all_of("metrics", &agents.unread(), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_last_tenth_of_the_addresses_is_told() {
        let with = |used| {
            Scene::healthy().agents(|agents| {
                agents.agents[0].metrics.as_mut().unwrap().addresses_used = Some(used);
            })
        };
        assert_eq!(
            found(&RULE, &with(240)),
            ["Node/node-a: 240 of 254 pod addresses of node-a are in use"]
        );
        assert!(found(&RULE, &with(200)).is_empty());
    }
}
