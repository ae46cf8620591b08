//! HLT0309: GlooNetwork is not Available.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 309),
    severity: Severity::Error,
    title: "GlooNetwork is not Available",
    why: "Some part that others depend on does not work.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Which part, and why: gloonet status
2. What is measured at it: gloonet explain COMPONENT
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let target = Target::new("GlooNetwork", "", "default");
    let Some(network) = &view.gloo()?.network else {
        return Ok(vec![Finding::new(
            target,
            "there is no GlooNetwork default",
        )]);
    };
    if network.available == "True" {
        return Ok(Vec::new());
    }
    let (status, message) = (&network.available, &network.message);
    let summary = format!("condition Available is {status}: {message}");
    Ok(vec![
        Finding::new(target, summary).because("available", status),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_conditions_words_are_repeated() {
        let scene = Scene::healthy().gloo(|gloo| {
            let network = gloo.network.as_mut().unwrap();
            network.available = "False".to_owned();
            network.message = "redis does not answer".to_owned();
        });
        assert_eq!(
            found(&RULE, &scene),
            ["GlooNetwork/default: condition Available is False: redis does not answer"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
