//! SEC0304: serviceAccount with all rights.

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

use crate::Subject;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 304),
    severity: Severity::Warning,
    title: "ServiceAccount with all rights",
    why: "Whoever gets a token of it, a pod of its namespace for example, owns the cluster.",
    evidence: &[Evidence::Snapshot],
    scope: Scope::Cluster,
    steps: "\
1. What it really needs: look at the audit log, or begin with nothing.
2. Then: kubectl delete clusterrolebinding {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    for binding in &view.snapshot()?.admins {
        let accounts =
            |one: &&Subject| one.kind == "ServiceAccount" && one.namespace != "kube-system";
        let names: Vec<String> = binding
            .subjects
            .iter()
            .filter(accounts)
            .map(|one| format!("{}/{}", one.namespace, one.name))
            .collect();
        if !names.is_empty() {
            let names = names.join(", ");
            let target = Target::new("ClusterRoleBinding", "", &binding.name);
            let summary = format!("{} gives cluster-admin to {names}", binding.name);
            all.push(Finding::new(target, summary).because("accounts", names));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn an_account_with_all_rights_is_told_and_a_group_of_people_is_not() {
        let scene = Scene::healthy().snapshot(|snapshot| {
            snapshot.admins[0].subjects.push(Subject {
                kind: "ServiceAccount".to_owned(),
                namespace: "ci".to_owned(),
                name: "runner".to_owned(),
            });
        });
        assert_eq!(
            found(&RULE, &scene),
            ["ClusterRoleBinding/cluster-admin: cluster-admin gives cluster-admin to ci/runner"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}
