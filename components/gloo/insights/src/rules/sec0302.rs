//! SEC0302: image from a registry the installation does not name.

use gloo_record::{Analyzer, images::Container};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 302),
    severity: Severity::Warning,
    title: "Image from a registry the installation does not name",
    why: "Nobody mirrors, scans or signs what comes from there.",
    evidence: &[Evidence::Record(Analyzer::Images)],
    scope: Scope::Cluster,
    steps: "\
1. Where it should come from: {{{evidence.registries}}}
2. Who set it: kubectl --namespace {{target.namespace}} get deployments,daemonsets --output wide
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let images = view.images()?;
    let registry = |image: &str| image.split('/').next().unwrap_or_default().to_owned();
    // Only what is ours is held to our registries; kube-system has other tenants.
    let strange = |one: &&Container| {
        one.expected.is_some() && !images.registries.contains(&registry(&one.image))
    };
    let finding = |one: &Container| {
        let name = format!("{}/{}", one.workload, one.container);
        let target = Target::new("Image", &one.namespace, &name);
        let from = registry(&one.image);
        let summary = format!("{} runs an image from {from}", one.workload);
        let finding = Finding::new(target, summary).because("image", &one.image);
        finding.because("registries", images.registries.join(", "))
    };
    Ok(images
        .containers
        .iter()
        .filter(strange)
        .map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_strange_registry_is_told() {
        let scene = Scene::healthy().images(|images| {
            images.containers[0].image = "evil.example/agent:1@sha256:aa".to_owned();
        });
        assert!(found(&RULE, &scene)[0].ends_with("runs an image from evil.example"));
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
