//! NetworkPolicy.

use gloo_record::network_policies::Policy;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicySpec,
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use super::{Member, Rule};

pub(super) fn rule(policy: &NetworkPolicy, members: &[Member]) -> Rule {
    let namespace = policy.namespace().unwrap_or_default();
    let spec = policy.spec.clone().unwrap_or_default();
    let selector = spec.pod_selector.clone().unwrap_or_default();
    let whole = selector
        .match_labels
        .as_ref()
        .is_none_or(std::collections::BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty);
    // The API server lets no selector in that is none; "selected nothing" is the safe reading of one.
    let selected = match Selector::try_from(selector) {
        Ok(selector) => members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.namespace == namespace && selector.matches(&member.labels))
            .map(|(at, _)| at)
            .collect(),
        Err(_) => std::collections::BTreeSet::new(),
    };
    let (ingress, egress) = directions(&spec);
    let into = spec.ingress.unwrap_or_default();
    let out = spec.egress.unwrap_or_default();
    Rule {
        policy: Policy {
            kind: "NetworkPolicy".to_owned(),
            name: policy.name_any(),
            selects: selected.len(),
            allows_all_ingress: ingress && into.iter().any(everybody),
            allows_all_egress: egress && out.iter().any(everywhere),
            from_world: ingress && into.iter().any(world),
            namespace,
            ..Policy::default()
        },
        selected,
        ingress,
        egress,
        denies: false,
        whole,
    }
}

/// As the API says: without `policyTypes`, ingress always and egress when there are egress rules.
fn directions(spec: &NetworkPolicySpec) -> (bool, bool) {
    match &spec.policy_types {
        Some(types) if !types.is_empty() => {
            let has = |kind: &str| types.iter().any(|given| given == kind);
            (has("Ingress"), has("Egress"))
        }
        _ => (
            true,
            spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        ),
    }
}

fn none<T>(list: Option<&Vec<T>>) -> bool {
    list.is_none_or(Vec::is_empty)
}

fn everybody(rule: &NetworkPolicyIngressRule) -> bool {
    none(rule.from.as_ref()) && none(rule.ports.as_ref())
}

fn everywhere(rule: &NetworkPolicyEgressRule) -> bool {
    none(rule.to.as_ref()) && none(rule.ports.as_ref())
}

fn world(rule: &NetworkPolicyIngressRule) -> bool {
    let whole = |peer: &NetworkPolicyPeer| {
        let block = peer.ip_block.as_ref();
        block.is_some_and(|block| block.cidr == "0.0.0.0/0" && none(block.except.as_ref()))
    };
    rule.from.iter().flatten().any(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: serde_json::Value) -> Rule {
        let mut object = json!({"metadata": {"name": "p", "namespace": "shop"}});
        object["spec"] = spec;
        rule(&serde_json::from_value(object).unwrap(), &[])
    }

    #[test]
    fn directions_are_as_the_api_says() {
        let ways = |spec| {
            let rule = of(spec);
            (rule.ingress, rule.egress)
        };
        assert_eq!(ways(json!({"podSelector": {}})), (true, false));
        assert_eq!(
            ways(json!({"podSelector": {}, "egress": [{}]})),
            (true, true)
        );
        let egress = json!({"podSelector": {}, "policyTypes": ["Egress"]});
        assert_eq!(ways(egress), (false, true));
    }

    #[test]
    fn an_empty_rule_is_everybody_and_a_whole_range_is_the_world() {
        let ingress =
            |rules: serde_json::Value| of(json!({"podSelector": {}, "ingress": rules})).policy;
        assert!(ingress(json!([{}])).allows_all_ingress);
        assert!(!ingress(json!([])).allows_all_ingress);
        assert!(!ingress(json!([{"ports": [{"port": 80}]}])).allows_all_ingress);
        let block = |cidr: &str| json!([{"from": [{"ipBlock": {"cidr": cidr}}]}]);
        assert!(ingress(block("0.0.0.0/0")).from_world);
        assert!(!ingress(block("10.0.0.0/8")).from_world);
    }
}
