//! CFG0202: image is not the release's.

use gloo_record::{Analyzer, images::Container};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 202),
    severity: Severity::Warning,
    title: "Image is not the release's",
    why: "What runs was not tested together. An override does it on purpose; anything else is somebody's change.",
    evidence: &[Evidence::Record(Analyzer::Images)],
    scope: Scope::Cluster,
    steps: "\
1. What the release names: {{{evidence.expected}}}
2. Is it an override? kubectl get glonet default --output jsonpath={.spec.images.overrides}
3. If not, the operator takes it back; if it does not, see gloonet status.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let finding = |one: &Container| {
        let expected = one
            .expected
            .as_ref()
            .filter(|expected| **expected != one.image)?;
        let target = Target::new(
            "Image",
            &one.namespace,
            &format!("{}/{}", one.workload, one.container),
        );
        let summary = format!(
            "{} runs {}, the release names {expected}",
            one.workload, one.image
        );
        Some(
            Finding::new(target, summary)
                .because("expected", expected)
                .because("image", &one.image),
        )
    };
    Ok(view
        .images()?
        .containers
        .iter()
        .filter_map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn another_image_is_told_and_one_that_is_not_ours_is_not() {
        let with = |expected: Option<&str>| {
            Scene::healthy().images(|images| {
                images.containers[0].image = "ghcr.io/x/agent:dev".to_owned();
                images.containers[0].expected = expected.map(str::to_owned);
            })
        };
        let told = found(&RULE, &with(Some("ghcr.io/x/agent:0.1.0")));
        assert!(
            told[0].ends_with("runs ghcr.io/x/agent:dev, the release names ghcr.io/x/agent:0.1.0")
        );
        assert!(found(&RULE, &with(None)).is_empty());
    }
}
