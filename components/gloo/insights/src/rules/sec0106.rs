//! SEC0106: policy opens the way between pods and nodes.

use gloo_record::{Analyzer, network_policies::Policy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 106),
    severity: Severity::Info,
    title: "Policy opens the way between pods and nodes",
    why: "From a node everything on it is near: the kubelet, host-network pods, the cloud's metadata.",
    evidence: &[Evidence::Record(Analyzer::NetworkPolicies)],
    scope: Scope::Cluster,
    steps: "\
1. Is the node really meant? The health checks of the kubelet are allowed anyway.
2. If only the API server is, name it: entity kube-apiserver.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let policies = view.policies()?.remarkable.iter();
    let finding = |policy: &Policy| {
        let target = Target::new(&policy.kind, &policy.namespace, &policy.name);
        let summary = format!("{} names the nodes", policy.sentence());
        Finding::new(target, summary).because("entities", "host or remote-node")
    };
    Ok(policies.filter(|policy| policy.host).map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_policy_that_names_nodes_is_told() {
        let with = |host| {
            Scene::healthy().policies(|policies| {
                policies.remarkable.push(Policy {
                    kind: "CiliumClusterwideNetworkPolicy".to_owned(),
                    name: "nodes".to_owned(),
                    host,
                    ..Policy::default()
                });
            })
        };
        assert_eq!(
            found(&RULE, &with(true)),
            [
                "CiliumClusterwideNetworkPolicy/nodes: CiliumClusterwideNetworkPolicy nodes names the nodes"
            ]
        );
        assert!(found(&RULE, &with(false)).is_empty());
    }
}
