//! BP0110: no policy at all.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 110),
    severity: Severity::Warning,
    title: "No policy at all",
    why: "Every pod may talk to every other one.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Begin with the namespaces that hold something of value: deny ingress, allow what Hubble shows.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let policies = view.policies()?;
    let theirs = policies.namespaces.iter().filter(|one| !one.system);
    let isolated: usize = theirs
        .clone()
        .map(|one| one.ingress_isolated + one.egress_isolated)
        .sum();
    let pods: usize = theirs.map(|one| one.pods).sum();
    if pods == 0 || isolated > 0 {
        return Ok(Vec::new());
    }
    let summary = format!("no policy selects any of {pods} pods outside the system's namespaces");
    Ok(vec![
        Finding::new(Target::cluster(), summary).because("pods", pods),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_cluster_without_policies_is_told_and_one_without_pods_is_not() {
        let scene = Scene::healthy().policies(|policies| {
            policies.namespaces[0].ingress_isolated = 0;
            policies.namespaces[0].egress_isolated = 0;
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Cluster: no policy selects any of 3 pods outside the system's namespaces"]
        );
        let scene = scene.policies(|policies| policies.namespaces.clear());
        assert!(found(&RULE, &scene).is_empty());
    }
}
