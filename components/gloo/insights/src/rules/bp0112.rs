//! BP0112: platform is paused.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 112),
    severity: Severity::Info,
    title: "Platform is paused",
    why: "While it is, nothing is repaired, renewed or upgraded.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Why: {{{evidence.why}}}
2. Take spec.pause out of the GlooNetwork when the reason is gone; docs/runbooks/pause.md
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let network = view.gloo()?.network.as_ref();
    let Some(why) = network.and_then(|network| network.paused.as_ref()) else {
        return Ok(Vec::new());
    };
    let target = Target::new("GlooNetwork", "", "default");
    Ok(vec![
        Finding::new(target, format!("paused: {why}")).because("why", why),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_pause_is_told_with_its_reason() {
        let scene = Scene::healthy().gloo(|gloo| {
            gloo.network.as_mut().unwrap().paused = Some("migration".to_owned());
        });
        assert_eq!(
            found(&RULE, &scene),
            ["GlooNetwork/default: paused: migration"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
