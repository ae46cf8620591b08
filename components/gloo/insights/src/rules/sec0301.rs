//! SEC0301: images are named by tags that can move.

use std::collections::BTreeSet;

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 301),
    severity: Severity::Info,
    title: "Images are named by tags that can move",
    why: "Who may write to the registry decides what runs at the next start. A digest says which bytes.",
    evidence: &[Evidence::Record(Analyzer::Images)],
    scope: Scope::Cluster,
    steps: "\
1. Which: {{{evidence.images}}}
2. xtask lock resolves the digests of a release from the registry; spec.images.overrides takes name@sha256:…
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let images = &view.images()?.containers;
    let loose: BTreeSet<&str> = images
        .iter()
        .map(|one| one.image.as_str())
        .filter(|image| !image.contains("@sha256:"))
        .collect();
    if loose.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = loose.into_iter().collect();
    let summary = format!("{} images of the platform are named by a tag", names.len());
    let finding = Finding::new(Target::cluster(), summary);
    Ok(vec![finding.because("images", names.join(", "))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn tags_are_counted_and_a_digest_is_none() {
        let scene = Scene::healthy().images(|images| {
            images.containers[0].image = "ghcr.io/x/agent:0.1.0".to_owned();
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Cluster: 1 images of the platform are named by a tag"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
