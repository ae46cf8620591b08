//! SEC0108: Hubble can be reached from outside.

use gloo_record::{Analyzer, hubble::Service};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 108),
    severity: Severity::Warning,
    title: "Hubble can be reached from outside",
    why: "A Service of type {{evidence.type}} makes flows readable to whoever reaches a node or the load balancer.",
    evidence: &[Evidence::Record(Analyzer::Hubble)],
    scope: Scope::Cluster,
    steps: "\
1. Make it a ClusterIP: kubectl --namespace {{target.namespace}} patch service {{target.name}} --patch '{\"spec\": {\"type\": \"ClusterIP\"}}'
2. Reach it by kubectl port-forward, or through something that asks who you are.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let services = view.hubble()?.services.iter();
    let outside = services.filter(|one| matches!(one.kind.as_str(), "NodePort" | "LoadBalancer"));
    let finding = |one: &Service| {
        let target = Target::new("Service", &one.namespace, &one.name);
        let summary = format!("{} is of type {}", one.name, one.kind);
        Finding::new(target, summary).because("type", &one.kind)
    };
    Ok(outside.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_service_that_leads_outside_is_told() {
        let with = |kind: &str| {
            Scene::healthy().hubble(|hubble| {
                hubble.services.push(Service {
                    namespace: "kube-system".to_owned(),
                    name: "hubble-ui".to_owned(),
                    kind: kind.to_owned(),
                });
            })
        };
        assert_eq!(
            found(&RULE, &with("NodePort")),
            ["Service/kube-system/hubble-ui: hubble-ui is of type NodePort"]
        );
        assert!(found(&RULE, &with("ClusterIP")).is_empty());
    }
}
