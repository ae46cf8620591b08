//! SEC0301: image is named by a tag that can move.

use gloo_record::{Analyzer, images::Container};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 301),
    severity: Severity::Info,
    title: "Image is named by a tag that can move",
    why: "Who may write to the registry decides what runs at the next start. A digest says which bytes.",
    evidence: &[Evidence::Record(Analyzer::Images)],
    scope: Scope::Cluster,
    steps: "\
1. xtask lock resolves the digests of a release from the registry; spec.images.overrides takes name@sha256:…
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let images = view.images()?.containers.iter();
    let loose = images.filter(|one| !one.image.contains("@sha256:"));
    let finding = |one: &Container| {
        let name = format!("{}/{}", one.workload, one.container);
        let target = Target::new("Image", &one.namespace, &name);
        let summary = format!("{} runs {} by its tag", one.workload, one.image);
        Finding::new(target, summary).because("digests", one.digests.join(", "))
    };
    Ok(loose.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_tag_is_told_and_a_digest_is_not() {
        let scene = Scene::healthy().images(|images| {
            images.containers[0].image = "ghcr.io/x/agent:0.1.0".to_owned();
        });
        assert!(found(&RULE, &scene)[0].ends_with("runs ghcr.io/x/agent:0.1.0 by its tag"));
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
