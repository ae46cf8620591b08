//! SEC0205: certificate does not have the name its users ask for.

use gloo_record::{Analyzer, certificates::Certificate};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 205),
    severity: Severity::Warning,
    title: "Certificate does not have the name its users ask for",
    why: "Clients that verify names refuse it; those that do not, do not verify at all.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. Make one that is good for {{{evidence.expected}}}; it has: {{{evidence.names}}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let certificates = view.certificates()?.certificates.iter();
    let finding = |one: &Certificate| {
        let expected = one.expected_name.as_ref()?;
        if one.names.iter().any(|name| covers(name, expected)) {
            return None;
        }
        let place = one.place.sentence();
        let target = Target::new("Certificate", "", &place);
        let summary = format!("the certificate of {place} is not good for {expected}");
        let finding = Finding::new(target, summary).because("expected", expected);
        Some(finding.because("names", one.names.join(", ")))
    };
    Ok(certificates.filter_map(finding).collect())
}

/// RFC 6125: a star stands for one whole label, the first.
fn covers(name: &str, wanted: &str) -> bool {
    if let Some(rest) = name.strip_prefix("*.") {
        return wanted
            .split_once('.')
            .is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(rest));
    }
    name.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_missing_name_is_told_and_a_star_covers_one_label() {
        let with = |name: &str, wanted: &str| {
            Scene::healthy().certificates(|all| {
                all.certificates[0].names = vec![name.to_owned()];
                all.certificates[0].expected_name = Some(wanted.to_owned());
            })
        };
        assert!(
            found(&RULE, &with("a.example", "b.example"))[0].ends_with("not good for b.example")
        );
        assert!(found(&RULE, &with("*.west.hubble", "node-a.west.hubble")).is_empty());
        assert_eq!(
            found(&RULE, &with("*.hubble", "node-a.west.hubble")).len(),
            1
        );
    }
}
