//! CFG0205: kubelets are more than one minor release apart.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

use std::collections::BTreeMap;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 205),
    severity: Severity::Warning,
    title: "Kubelets are more than one minor release apart",
    why: "Kubernetes supports a kubelet up to three minors behind its API server, and nobody tests networks across more than one.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. Which node runs which: kubectl get nodes --output wide
2. Upgrade those that are behind.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut minors: BTreeMap<(u32, u32), Vec<&str>> = BTreeMap::new();
    for node in &view.nodes()?.nodes {
        if let Some(minor) = minor(&node.kubelet) {
            minors.entry(minor).or_default().push(&node.name);
        }
    }
    let (Some((first, _)), Some((last, _))) = (minors.first_key_value(), minors.last_key_value())
    else {
        return Ok(Vec::new());
    };
    if first.0 == last.0 && last.1 - first.1 <= 1 {
        return Ok(Vec::new());
    }
    let summary = format!(
        "kubelets are of {}.{} to {}.{}",
        first.0, first.1, last.0, last.1
    );
    let mut finding = Finding::new(Target::cluster(), summary);
    for ((major, minor), nodes) in &minors {
        finding = finding.because(&format!("v{major}.{minor}"), nodes.join(", "));
    }
    Ok(vec![finding])
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn two_minors_apart_is_told_and_one_is_not() {
        let with = |version: &str| {
            Scene::healthy().nodes(|nodes| nodes.nodes[1].kubelet = version.to_owned())
        };
        assert_eq!(
            found(&RULE, &with("v1.34.1")),
            ["Cluster: kubelets are of 1.34 to 1.36"]
        );
        assert!(found(&RULE, &with("v1.35.9")).is_empty());
    }
}
