//! SEC0202: certificate runs out soon.

use gloo_record::{Analyzer, certificates::Certificate};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 202),
    severity: Severity::Warning,
    title: "Certificate runs out soon",
    why: "Less than a tenth of its life is left. What renews it should have done so at two thirds.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. Why was it not renewed? gloonet explain trust, and docs/runbooks/certificate-expiry.md
2. If this one is brought along, bring a new one before {{{evidence.not_after}}}.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let certificates = view.certificates()?.certificates.iter();
    let finding = |one: &Certificate| {
        let whole = one.not_after.duration_since(one.not_before).as_secs();
        let left = one.not_after.duration_since(view.now).as_secs();
        if left <= 0 || left > whole / 10 {
            return None;
        }
        let (place, hours) = (one.place.sentence(), left / 3600);
        let target = Target::new("Certificate", "", &place);
        let summary = format!("the certificate of {place} runs out in {hours} h");
        let finding = Finding::new(target, summary).because("not_after", one.not_after);
        Some(finding.because("subject", &one.subject))
    };
    Ok(certificates.filter_map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn the_last_tenth_of_a_life_is_told() {
        let with = |hours| {
            let scene = Scene::healthy();
            let (from, to) = (scene.now - hour(20 - hours), scene.now + hour(hours));
            scene.certificates(|all| {
                all.certificates[0].not_before = from;
                all.certificates[0].not_after = to;
            })
        };
        assert!(found(&RULE, &with(2))[0].ends_with("runs out in 2 h"));
        assert!(found(&RULE, &with(3)).is_empty());
    }

    fn hour(count: i64) -> jiff::SignedDuration {
        jiff::SignedDuration::from_hours(count)
    }
}
