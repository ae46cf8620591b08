//! SEC0305: workspace without service isolation.

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

use crate::Isolation;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 305),
    severity: Severity::Info,
    title: "Workspace without service isolation",
    why: "Services of it take traffic from everywhere unless an AccessPolicy says otherwise.",
    evidence: &[Evidence::Snapshot],
    scope: Scope::Cluster,
    steps: "\
1. What would be denied, before you do it: spec.options.serviceIsolation with enabled and dryRun true; the status lists it.
2. Then set dryRun to false.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let open = |one: &&Isolation| !one.enabled || one.dry_run;
    let settings = view.snapshot()?.isolation.iter().filter(open);
    let finding = |one: &Isolation| {
        let target = Target::new("WorkspaceSettings", &one.namespace, &one.name);
        let how = if one.enabled { "only tried" } else { "off" };
        let summary = format!(
            "service isolation of {}/{} is {how}",
            one.namespace, one.name
        );
        Finding::new(target, summary).because("isolation", how)
    };
    Ok(settings.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn isolation_that_is_off_or_tried_is_told() {
        let with = |enabled, dry_run| {
            Scene::healthy().snapshot(|snapshot| {
                snapshot.isolation[0].enabled = enabled;
                snapshot.isolation[0].dry_run = dry_run;
            })
        };
        assert_eq!(
            found(&RULE, &with(false, false)),
            ["WorkspaceSettings/shop/shop: service isolation of shop/shop is off"]
        );
        assert!(found(&RULE, &with(true, true))[0].ends_with("only tried"));
        assert!(found(&RULE, &with(true, false)).is_empty());
    }
}
