//! SEC0303: the same tag runs as different bytes.

use gloo_record::{Analyzer, images::Container};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 303),
    severity: Severity::Warning,
    title: "The same tag runs as different bytes",
    why: "Two pods of one workload were started from one tag that moved in between: they may not behave the same, and one of them may not be what anybody built.",
    evidence: &[Evidence::Record(Analyzer::Images)],
    scope: Scope::Cluster,
    steps: "\
1. Which pod runs which: kubectl --namespace {{target.namespace}} get pods --output jsonpath={..imageID}
2. Start those anew that run the wrong one; name the image by its digest.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let images = view.images()?.containers.iter();
    let finding = |one: &Container| {
        let name = format!("{}/{}", one.workload, one.container);
        let target = Target::new("Image", &one.namespace, &name);
        let count = one.digests.len();
        let summary = format!(
            "{} runs {} as {count} different digests",
            one.workload, one.image
        );
        Finding::new(target, summary).because("digests", one.digests.join(", "))
    };
    Ok(images
        .filter(|one| one.digests.len() > 1)
        .map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn two_digests_of_one_tag_are_told() {
        let scene = Scene::healthy().images(|images| {
            images.containers[0].digests.push("sha256:bb".to_owned());
        });
        assert!(found(&RULE, &scene)[0].ends_with("as 2 different digests"));
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
