//! SEC0204: certificate is not of the authority its users know.

use gloo_record::{
    Analyzer,
    certificates::{Certificate, Trust},
};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 204),
    severity: Severity::Error,
    title: "Certificate is not of the authority its users know",
    why: "Whoever verifies it refuses the connection, or somebody else answers in its place.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. Was the authority made anew? Then what was signed by the old one has to be signed again: gloonet explain trust
2. If nobody changed it, find out who answers: {{{evidence.issuer}}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let certificates = view.certificates()?.certificates.iter();
    let finding = |one: &Certificate| {
        let Trust::Broken(why) = &one.trust else {
            return None;
        };
        let place = one.place.sentence();
        let target = Target::new("Certificate", "", &place);
        let summary = format!("the certificate of {place} is not of its authority: {why}");
        let finding = Finding::new(target, summary).because("issuer", &one.issuer);
        Some(finding.because("fingerprint", &one.fingerprint))
    };
    Ok(certificates.filter_map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_foreign_certificate_is_told_and_one_nobody_can_judge_is_not() {
        let with =
            |trust: Trust| Scene::healthy().certificates(|all| all.certificates[0].trust = trust);
        assert!(
            found(&RULE, &with(Trust::Broken("other issuer".to_owned())))[0]
                .ends_with("other issuer")
        );
        assert!(found(&RULE, &with(Trust::Unknown)).is_empty());
    }
}
