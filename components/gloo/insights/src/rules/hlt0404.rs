//! HLT0404: analyzer fails.

use gloo_record::{Analyzer, Outcome};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 404),
    severity: Severity::Warning,
    title: "Analyzer fails",
    why: "What it would find is not known; insights made from it stand as they last were, and say so.",
    evidence: &[
        Evidence::Record(Analyzer::CiliumAgents),
        Evidence::Record(Analyzer::CiliumConfig),
        Evidence::Record(Analyzer::CiliumOperator),
        Evidence::Record(Analyzer::CniConfiguration),
        Evidence::Record(Analyzer::Certificates),
        Evidence::Record(Analyzer::GlooComponents),
        Evidence::Record(Analyzer::Hubble),
        Evidence::Record(Analyzer::Images),
        Evidence::Record(Analyzer::NetworkPolicies),
        Evidence::Record(Analyzer::Nodes),
        Evidence::Record(Analyzer::Proxies),
    ],
    scope: Scope::Cluster,
    steps: "\
1. What it says: {{{evidence.words}}}
2. Its log: kubectl --namespace gloo-mesh logs deployment/gloo-analyzer
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let mut heard = false;
    for analyzer in Analyzer::ALL {
        // Of one that never reported nothing is known; others may still have failed.
        let Ok(report) = view.report(analyzer) else {
            continue;
        };
        heard = true;
        if let Outcome::Failed(words) = &report.outcome {
            let target = Target::new("Analyzer", "", analyzer.as_str());
            let summary = format!("analyzer {analyzer} failed: {words}");
            all.push(Finding::new(target, summary).because("words", words));
        }
    }
    if !heard {
        view.report(Analyzer::Nodes)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_failed_run_is_told_in_the_analyzers_words() {
        let scene = Scene::healthy().without(Analyzer::Images, "pods is forbidden");
        assert_eq!(
            found(&RULE, &scene),
            ["Analyzer/images: analyzer images failed: pods is forbidden"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
