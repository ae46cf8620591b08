//! CFG0201: parts of the platform are of different releases.

use gloo_record::{Analyzer, gloo_components::Workload};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, Unknown, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 201),
    severity: Severity::Warning,
    title: "Parts of the platform are of different releases",
    why: "Fine while an upgrade is under way. For longer it means that the upgrade stopped, or that an image was set by hand.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Where the upgrade stands: gloonet status
2. An override in spec.images.overrides may be why.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let gloo = view.gloo()?;
    let Some(network) = &gloo.network else {
        return Ok(Vec::new());
    };
    if network.version.is_empty() {
        return Err(Unknown::new("the GlooNetwork does not say its release yet"));
    }
    let other = |one: &&Workload| one.ours && one.version != network.version;
    let finding = |one: &Workload| {
        let target = Target::new(&one.kind, &one.namespace, &one.name);
        let summary = format!(
            "{} is of release {}, the GlooNetwork of {}",
            one.name, one.version, network.version
        );
        Finding::new(target, summary).because("version", &one.version)
    };
    Ok(gloo.workloads.iter().filter(other).map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn another_release_is_told_and_upstreams_versions_are_their_own() {
        let with = |ours| {
            Scene::healthy().gloo(|gloo| {
                gloo.workloads[0].version = "7.0.15".to_owned();
                gloo.workloads[0].ours = ours;
            })
        };
        assert_eq!(
            found(&RULE, &with(true)),
            [
                "Deployment/gloo-mesh/gloo-mesh-agent: gloo-mesh-agent is of release 7.0.15, the GlooNetwork of 0.1.0"
            ]
        );
        assert!(found(&RULE, &with(false)).is_empty());
    }
}
