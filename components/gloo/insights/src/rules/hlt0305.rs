//! HLT0305: no replica of the GlooNetwork operator leads.

use gloo_record::{Analyzer, cilium_operator::Lease};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

const OVERDUE_SECONDS: i64 = 60;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 305),
    severity: Severity::Error,
    title: "No replica of the GlooNetwork operator leads",
    why: "Nothing is repaired, renewed or upgraded until one does.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Who holds the lease: kubectl --namespace gloonet-system get lease {{target.name}} --output yaml
2. What the operator says: kubectl --namespace gloonet-system logs deployment/gloonet-operator
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    // As it was when it was looked at: the report itself may be some intervals old.
    let taken = view.report(Analyzer::GlooComponents)?.taken;
    let age = |lease: &Lease| lease.renewed.map(|at| taken.duration_since(at).as_secs());
    let leases = view.gloo()?.leases.iter();
    let overdue = leases.filter(|lease| age(lease).is_none_or(|age| age > OVERDUE_SECONDS));
    let finding = |lease: &Lease| {
        let target = Target::new("Lease", "gloonet-system", &lease.name);
        let holder = lease.holder.as_deref().unwrap_or("nobody");
        let summary = match age(lease) {
            Some(age) => format!("{holder} has not renewed the lease for {age} s"),
            None => "nobody ever took the lease".to_owned(),
        };
        Finding::new(target, summary).because("holder", holder)
    };
    Ok(overdue.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_lease_nobody_renews_is_told() {
        let scene = Scene::healthy();
        let old = scene.now - jiff::SignedDuration::from_secs(130);
        let scene = scene.gloo(|gloo| gloo.leases[0].renewed = Some(old));
        assert_eq!(
            found(&RULE, &scene),
            [
                "Lease/gloonet-system/gloonet-operator: gloonet-operator-1 has not renewed the lease for 120 s"
            ]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }

    #[test]
    fn a_lease_that_was_renewed_when_it_was_looked_at_is_fine_however_old_the_report_is() {
        let mut late = Scene::healthy();
        late.now += jiff::SignedDuration::from_secs(75);
        assert!(found(&RULE, &late).is_empty());
    }
}
