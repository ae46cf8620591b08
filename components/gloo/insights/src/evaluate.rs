//! Asks every rule about a cluster.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Answer, Finding, Rule, Scope, Settings, Unknown, View, catalog, text::clean};

/// Findings of one rule about one cluster that are followed. More say no more to a person.
pub const MOST_FINDINGS: usize = 200;

/// What a rule said about a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Found(Vec<Finding>),
    Unknown(Unknown),
    /// The rule itself ended in the middle.
    Broken(String),
}

/// One rule's verdict.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub rule: &'static Rule,
    pub verdict: Verdict,
    /// Findings beyond [`MOST_FINDINGS`] that were left out.
    pub omitted: usize,
}

/// Asks every rule that is not disabled and concerns the cluster. `clock` is read around each, for metrics; `took` gets the rule
/// and what the clock gave before and after.
pub fn evaluate<T>(
    view: &View<'_>,
    settings: &Settings,
    mut clock: impl FnMut() -> T,
    mut took: impl FnMut(&Rule, T, T),
) -> Vec<Evaluation> {
    let mut all = Vec::new();
    for rule in catalog() {
        let concerns = rule.scope == Scope::Cluster || view.cluster.home;
        if settings.disabled.contains(&rule.code) || !concerns {
            continue;
        }
        let before = clock();
        let verdict = ask(rule.find, view);
        took(rule, before, clock());
        all.push(bounded(rule, verdict));
    }
    all
}

fn ask(find: fn(&View<'_>) -> Answer, view: &View<'_>) -> Verdict {
    match catch_unwind(AssertUnwindSafe(|| find(view))) {
        Ok(Ok(found)) => Verdict::Found(found),
        Ok(Err(unknown)) => Verdict::Unknown(unknown),
        Err(panic) => {
            let words = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let words = words.unwrap_or_else(|| "it panicked".to_owned());
            // They may quote what the rule looked at.
            Verdict::Broken(clean(&words))
        }
    }
}

fn bounded(rule: &'static Rule, verdict: Verdict) -> Evaluation {
    let Verdict::Found(mut found) = verdict else {
        return Evaluation {
            rule,
            verdict,
            omitted: 0,
        };
    };
    found.sort_by(|one, other| one.target.cmp(&other.target));
    found.dedup_by(|one, other| one.target == other.target && one.cluster == other.cluster);
    let omitted = found.len().saturating_sub(MOST_FINDINGS);
    found.truncate(MOST_FINDINGS);
    Evaluation {
        rule,
        verdict: Verdict::Found(found),
        omitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[test]
    fn a_rule_that_panics_is_broken_and_nothing_else_is() {
        let scene = Scene::healthy();
        let verdict = ask(|_| panic!("index out of bounds"), &scene.view());
        assert_eq!(verdict, Verdict::Broken("index out of bounds".to_owned()));
        let verdict = ask(
            |_| panic!("index out of bounds of \u{1b}[2J"),
            &scene.view(),
        );
        let words = "index out of bounds of [2J";
        assert_eq!(verdict, Verdict::Broken(words.to_owned()));
    }

    #[test]
    fn findings_without_end_are_bounded_and_counted() {
        let found = (0..300)
            .map(|n| Finding::new(crate::Target::node(&format!("n{n:03}")), "x"))
            .collect();
        let rule = &catalog()[0];
        let bounded = bounded(rule, Verdict::Found(found));
        assert_eq!(bounded.omitted, 100);
        assert!(matches!(bounded.verdict, Verdict::Found(kept) if kept.len() == MOST_FINDINGS));
    }

    #[test]
    fn a_healthy_cluster_has_no_finding_and_every_rule_can_say_so() {
        let scene = Scene::healthy();
        for one in evaluate(&scene.view(), &Settings::default(), || (), |_, (), ()| ()) {
            let (code, title) = (one.rule.code, one.rule.title);
            assert_eq!(one.verdict, Verdict::Found(Vec::new()), "{code} {title}");
        }
    }

    #[test]
    fn without_evidence_no_rule_says_that_all_is_well() {
        let scene = Scene::blind();
        for one in evaluate(&scene.view(), &Settings::default(), || (), |_, (), ()| ()) {
            let (code, title) = (one.rule.code, one.rule.title);
            assert!(
                matches!(one.verdict, Verdict::Unknown(_)),
                "{code} {title}: {:?}",
                one.verdict
            );
        }
    }

    #[test]
    fn where_all_runs_a_rule_whose_query_has_no_sample_says_that_it_should_have_one() {
        let mut scene = Scene::healthy();
        scene
            .answers
            .values_mut()
            .for_each(|answer| *answer = Ok(Vec::new()));
        let asks = |evidence: &crate::Evidence| matches!(evidence, crate::Evidence::Metrics(_));
        for one in evaluate(&scene.view(), &Settings::default(), || (), |_, (), ()| ()) {
            let silent = matches!(&one.verdict, Verdict::Unknown(unknown) if unknown.silent);
            let asked = one.rule.evidence.iter().any(asks);
            assert_eq!(silent, asked, "{} {:?}", one.rule.code, one.verdict);
        }
    }

    #[test]
    fn records_that_are_too_old_or_of_a_failed_run_are_no_evidence() {
        for scene in [Scene::healthy().hours_later(2), Scene::failed("403")] {
            for one in evaluate(&scene.view(), &Settings::default(), || (), |_, (), ()| ()) {
                let on_records = one
                    .rule
                    .evidence
                    .iter()
                    .any(|evidence| matches!(evidence, crate::Evidence::Record(_)));
                // The rule about failing analyzers is what says so.
                if on_records && one.rule.code.to_string() != "HLT0404" {
                    let code = one.rule.code;
                    assert!(matches!(one.verdict, Verdict::Unknown(_)), "{code}");
                }
            }
        }
    }

    /// What the rule of this code says: why it cannot say, or nothing.
    fn unknown(scene: &Scene, code: &str) -> Option<String> {
        let rule = catalog().iter().find(|rule| rule.code.to_string() == code);
        (rule.unwrap().find)(&scene.view())
            .err()
            .map(|unknown| unknown.why)
    }

    #[test]
    fn of_an_agent_that_could_not_be_asked_no_rule_says_that_all_is_well() {
        let mute = Scene::healthy()
            .agents(|agents| agents.agents[1].metrics = None)
            .config(|config| {
                config
                    .unknown
                    .extend(config.nodes.pop().map(|last| last.node));
            })
            .cni(|cni| cni.unknown.extend(cni.nodes.pop().map(|last| last.node)));
        for (what, codes) in [
            (
                "metrics",
                &[
                    "BP0101", "CFG0105", "HLT0104", "HLT0107", "RES0101", "RES0103", "RES0108",
                ][..],
            ),
            ("configuration", &["CFG0101"][..]),
            ("CNI files", &["CFG0102", "CFG0103"][..]),
        ] {
            for code in codes {
                let why = unknown(&mute, code);
                let wanted = format!("{what} of node-b could not be read");
                assert_eq!(why, Some(wanted), "{code}");
            }
        }
        let scene = mute.agents(|agents| {
            let metrics = agents.agents[0].metrics.as_mut();
            metrics.unwrap().controllers_failing = Some(1);
        });
        assert_eq!(unknown(&scene, "HLT0104"), None);
    }

    #[test]
    fn of_nodes_that_no_agent_sees_no_rule_says_that_all_is_well_and_a_node_without_one_is_no_fault()
     {
        let without = |count| {
            Scene::healthy().nodes(|nodes| {
                let blind = nodes.nodes.iter_mut().take(count);
                blind.for_each(|node| node.seen = None);
            })
        };
        for (code, what) in [
            ("CFG0106", "MTUs"),
            ("CFG0107", "MTUs"),
            ("CFG0109", "settings"),
            ("CFG0110", "kernels"),
            ("HLT0203", "clocks"),
        ] {
            assert_eq!(unknown(&without(1), code), None, "{code}");
            let wanted = format!("{what} of node-a, node-b could not be read");
            assert_eq!(unknown(&without(2), code), Some(wanted), "{code}");
            // Where no agents run at all, nobody should have told.
            let foreign = without(2).agents(|agents| agents.agents.clear());
            assert_eq!(unknown(&foreign, code), None, "{code}");
        }
    }

    #[test]
    fn a_disabled_rule_is_not_asked_and_one_about_the_management_only_at_home() {
        let mut scene = Scene::healthy();
        let codes = |scene: &Scene, settings: &Settings| -> Vec<String> {
            let all = evaluate(&scene.view(), settings, || (), |_, (), ()| ());
            all.iter().map(|one| one.rule.code.to_string()).collect()
        };
        let mut settings = Settings::default();
        settings.disabled.insert("HLT0101".parse().unwrap());
        assert!(!codes(&scene, &settings).contains(&"HLT0101".to_owned()));
        assert!(codes(&scene, &settings).contains(&"HLT0303".to_owned()));
        scene.cluster.home = false;
        assert!(!codes(&scene, &settings).contains(&"HLT0303".to_owned()));
    }
}
