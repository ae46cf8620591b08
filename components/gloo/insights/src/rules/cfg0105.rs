//! CFG0105: agents of different versions.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

use std::collections::BTreeMap;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 105),
    severity: Severity::Warning,
    title: "Agents of different versions",
    why: "Fine while an upgrade is under way. For longer it means that the upgrade stopped.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Which node runs which: cilium_version
2. Why the rollout stopped: kubectl --namespace kube-system rollout status daemonset cilium
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let agents = view.agents()?;
    for agent in &agents.agents {
        let version = agent
            .metrics
            .as_ref()
            .and_then(|metrics| metrics.version.as_deref());
        if let Some(version) = version {
            versions.entry(version).or_default().push(&agent.pod.node);
        }
    }
    if versions.len() < 2 {
        return all_of("metrics", &agents.unread(), Vec::new());
    }
    let target = Target::new("DaemonSet", "kube-system", "cilium");
    let names: Vec<&str> = versions.keys().copied().collect();
    let summary = format!("the agents are of versions {}", names.join(", "));
    let mut finding = Finding::new(target, summary);
    for (version, nodes) in versions {
        finding = finding.because(version, nodes.join(", "));
    }
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn two_versions_are_told_with_their_nodes() {
        let scene = Scene::healthy().agents(|agents| {
            let metrics = agents.agents[1].metrics.as_mut().unwrap();
            metrics.version = Some("0.2.0".to_owned());
        });
        assert_eq!(
            found(&RULE, &scene),
            ["DaemonSet/kube-system/cilium: the agents are of versions 0.1.0, 0.2.0"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
