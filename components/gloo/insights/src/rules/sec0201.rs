//! SEC0201: certificate is not valid now.

use gloo_record::{Analyzer, certificates::Certificate};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 201),
    severity: Severity::Error,
    title: "Certificate is not valid now",
    why: "Whoever verifies it refuses the connection.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. The operator renews its own certificates by itself: gloonet explain trust
2. If this one is brought along, bring a new one. It was valid from {{{evidence.not_before}}} to {{{evidence.not_after}}}.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let certificates = view.certificates()?.certificates.iter();
    let finding = |one: &Certificate| {
        let words = if one.not_after <= view.now {
            format!("expired at {}", one.not_after)
        } else if one.not_before > view.now {
            format!("is valid only from {}", one.not_before)
        } else {
            return None;
        };
        let place = one.place.sentence();
        let target = Target::new("Certificate", "", &place);
        let finding = Finding::new(target, format!("the certificate of {place} {words}"));
        let finding = finding.because("not_before", one.not_before);
        Some(
            finding
                .because("not_after", one.not_after)
                .because("subject", &one.subject),
        )
    };
    Ok(certificates.filter_map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn an_expired_certificate_and_one_of_the_future_are_told() {
        let scene = Scene::healthy();
        let (past, future) = (scene.now - HOUR, scene.now + HOUR);
        let old = scene.certificates(|all| all.certificates[0].not_after = past);
        assert!(
            found(&RULE, &old)[0].contains("expired at"),
            "{:?}",
            found(&RULE, &old)
        );
        let early = Scene::healthy().certificates(|all| all.certificates[0].not_before = future);
        assert!(found(&RULE, &early)[0].contains("is valid only from"));
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }

    const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
}
