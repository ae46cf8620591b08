//! SEC0206: certificate cannot be read.

use gloo_record::{Analyzer, certificates::Unreadable};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 206),
    severity: Severity::Warning,
    title: "Certificate cannot be read",
    why: "Nobody can use it, and nobody knows when it runs out.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. Why: {{{evidence.why}}}
2. What is there: kubectl --namespace gloo-mesh get secrets
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let unreadable = view.certificates()?.unreadable.iter();
    let finding = |one: &Unreadable| {
        let place = one.place.sentence();
        let target = Target::new("Certificate", "", &place);
        let summary = format!("the certificate of {place} cannot be read: {}", one.why);
        Finding::new(target, summary).because("why", &one.why)
    };
    Ok(unreadable.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn what_is_no_certificate_is_told() {
        let scene = Scene::healthy().certificates(|all| {
            all.unreadable.push(Unreadable {
                place: gloo_record::certificates::Place::Endpoint {
                    name: "hubble".to_owned(),
                    address: "10.0.0.1:4244".to_owned(),
                },
                why: "connection refused".to_owned(),
            });
        });
        assert_eq!(
            found(&RULE, &scene),
            [
                "Certificate/hubble at 10.0.0.1:4244: the certificate of hubble at 10.0.0.1:4244 cannot be read: connection refused"
            ]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
