//! HLT0109: no operator of Cilium leads.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

/// A lease's own duration is short; a leader that is replaced takes some of them.
const OVERDUE_SECONDS: i64 = 60;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 109),
    severity: Severity::Error,
    title: "No operator of Cilium leads",
    why: "Only the leader works. A lease that nobody renews means that no pod range and no identity is made.",
    evidence: &[Evidence::Record(Analyzer::CiliumOperator)],
    scope: Scope::Cluster,
    steps: "\
1. Who holds it: kubectl --namespace kube-system get lease cilium-operator-resource-lock --output yaml
2. What the operators say: kubectl --namespace kube-system logs --selector io.cilium/app=operator
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let operator = view.operator()?;
    let taken = view.report(Analyzer::CiliumOperator)?.taken;
    if operator.deployment.is_none() {
        return Ok(Vec::new());
    }
    let target = Target::new("Lease", "kube-system", "cilium-operator-resource-lock");
    let Some(lease) = &operator.lease else {
        let finding = Finding::new(target, "there is no lease");
        return Ok(vec![finding.because("looked at", taken)]);
    };
    // As it was when it was looked at: the report itself may be some intervals old.
    let age = lease.renewed.map(|at| taken.duration_since(at).as_secs());
    if age.is_some_and(|age| age <= OVERDUE_SECONDS) {
        return Ok(Vec::new());
    }
    let holder = lease.holder.as_deref().unwrap_or("nobody");
    let summary = match age {
        Some(age) => format!("{holder} has not renewed the lease for {age} s"),
        None => "nobody ever took the lease".to_owned(),
    };
    Ok(vec![
        Finding::new(target, summary).because("holder", holder),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_lease_nobody_renews_is_told() {
        let scene = Scene::healthy();
        let old = scene.now - jiff::SignedDuration::from_secs(100);
        let scene = scene.operator(|operator| {
            operator.lease.as_mut().unwrap().renewed = Some(old);
        });
        assert!(found(&RULE, &scene)[0].ends_with("has not renewed the lease for 90 s"));
        let scene = Scene::healthy().operator(|operator| operator.lease = None);
        assert!(found(&RULE, &scene)[0].ends_with("there is no lease"));
    }

    #[test]
    fn a_lease_that_is_renewed_is_fine_and_so_is_a_cluster_without_the_operator() {
        assert!(found(&RULE, &Scene::healthy()).is_empty());
        let scene = Scene::healthy().operator(|operator| {
            operator.lease = None;
            operator.deployment = None;
        });
        assert!(found(&RULE, &scene).is_empty());
    }

    #[test]
    fn a_lease_that_was_renewed_when_it_was_looked_at_is_fine_however_old_the_report_is() {
        let mut late = Scene::healthy();
        late.now += jiff::SignedDuration::from_secs(75);
        assert!(found(&RULE, &late).is_empty());
    }
}
