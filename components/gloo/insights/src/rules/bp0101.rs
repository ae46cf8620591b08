//! BP0101: Cilium is older than the platform.

use gloo_record::{Analyzer, cilium_agents::Agent};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 101),
    severity: Severity::Warning,
    title: "Cilium is older than the platform",
    why: "Fixes of the release are not in what handles the packets.",
    evidence: &[
        Evidence::Record(Analyzer::CiliumAgents),
        Evidence::Record(Analyzer::GlooComponents),
    ],
    scope: Scope::Cluster,
    steps: "\
1. Where the upgrade stands: gloonet status
2. Is cilium-agent overridden? kubectl get glonet default --output jsonpath={.spec.images.overrides}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let agents = view.agents()?;
    let Some(network) = &view.gloo()?.network else {
        return Ok(Vec::new());
    };
    let Some(release) = numbers(&network.version) else {
        return Ok(Vec::new());
    };
    let version = |agent: &Agent| agent.metrics.as_ref()?.version.clone();
    let oldest = agents
        .agents
        .iter()
        .filter_map(version)
        .min_by_key(|text| numbers(text));
    match oldest {
        Some(text) if numbers(&text).is_some_and(|found| found < release) => {
            let target = Target::new("DaemonSet", "kube-system", "cilium");
            let summary = format!("an agent is of {text}, the platform of {}", network.version);
            Ok(vec![Finding::new(target, summary).because("version", text)])
        }
        _ => all_of("metrics", &agents.unread(), Vec::new()),
    }
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let plain = version.split(['-', '+']).next()?;
    plain.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn an_older_agent_is_told_and_a_newer_one_is_not() {
        let with = |version: &str| {
            Scene::healthy().agents(|agents| {
                let metrics = agents.agents[0].metrics.as_mut().unwrap();
                metrics.version = Some(version.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("0.0.9")),
            ["DaemonSet/kube-system/cilium: an agent is of 0.0.9, the platform of 0.1.0"]
        );
        assert!(found(&RULE, &with("0.10.0")).is_empty());
    }
}
