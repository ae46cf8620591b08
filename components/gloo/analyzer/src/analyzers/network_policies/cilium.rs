//! CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use gloo_record::network_policies::Policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    ResourceExt,
    api::DynamicObject,
    core::{Selector, SelectorExt},
};
use serde_json::Value;

use super::{Member, Rule};

pub(super) fn rule(kind: &str, object: &DynamicObject, members: &[Member]) -> Rule {
    let namespace = object.namespace().unwrap_or_default();
    let mut rule = Rule {
        policy: Policy {
            kind: kind.to_owned(),
            name: object.name_any(),
            invalid: invalid(&object.data),
            namespace: namespace.clone(),
            ..Policy::default()
        },
        ..Rule::default()
    };
    let several = object.data["specs"].as_array().into_iter().flatten();
    let single = Some(&object.data["spec"]).filter(|spec| spec.is_object());
    let mut on_nodes = false;
    for spec in single.into_iter().chain(several) {
        on_nodes |= spec.get("nodeSelector").is_some();
        add(&mut rule, spec, &namespace, members);
    }
    // What selects nodes is not held against pods.
    rule.policy.selects = if on_nodes { 1 } else { rule.selected.len() };
    rule
}

/// The reason of condition Valid, when it is False.
fn invalid(data: &Value) -> Option<String> {
    let conditions = data.pointer("/status/conditions")?.as_array()?;
    let valid = conditions.iter().find(|one| one["type"] == "Valid")?;
    let reason = valid["message"]
        .as_str()
        .or_else(|| valid["reason"].as_str());
    (valid["status"] == "False").then(|| reason.unwrap_or("no reason is given").to_owned())
}

fn add(rule: &mut Rule, spec: &Value, namespace: &str, members: &[Member]) {
    let selector = spec.get("endpointSelector");
    rule.selected.extend(selected(selector, namespace, members));
    let no_terms = |selector: &Value| {
        let empty = |name: &str| match &selector[name] {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        empty("matchLabels") && empty("matchExpressions")
    };
    rule.whole |= selector.is_some_and(no_terms) && !namespace.is_empty();
    let some = |name: &str| spec[name].as_array().is_some_and(|list| !list.is_empty());
    let on = |way: &str| spec["enableDefaultDeny"][way].as_bool();
    rule.denies |= some("ingressDeny") || some("egressDeny");
    rule.ingress |= on("ingress").unwrap_or(some("ingress") || some("ingressDeny"));
    rule.egress |= on("egress").unwrap_or(some("egress") || some("egressDeny"));
    let policy = &mut rule.policy;
    for one in spec["ingress"].as_array().into_iter().flatten() {
        policy.allows_all_ingress |= all(one, "fromEntities");
        policy.from_world |= names(one, "fromEntities", &["world", "all"]) || whole(one, "from");
        policy.host |= names(one, "fromEntities", &["host", "remote-node"]);
    }
    for one in spec["egress"].as_array().into_iter().flatten() {
        policy.allows_all_egress |= all(one, "toEntities");
        policy.host |= names(one, "toEntities", &["host", "remote-node"]);
    }
}

/// Everybody, on every port.
fn all(rule: &Value, entities: &str) -> bool {
    let ports = rule["toPorts"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    !ports && names(rule, entities, &["all"])
}

fn names(rule: &Value, entities: &str, wanted: &[&str]) -> bool {
    let given = rule[entities].as_array().into_iter().flatten();
    given
        .filter_map(Value::as_str)
        .any(|entity| wanted.contains(&entity))
}

/// Some range is all of IPv4.
fn whole(rule: &Value, way: &str) -> bool {
    let plain = rule[format!("{way}CIDR")].as_array().into_iter().flatten();
    let sets = rule[format!("{way}CIDRSet")]
        .as_array()
        .into_iter()
        .flatten();
    let excepted = |set: &Value| {
        set["except"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    };
    plain.into_iter().any(|cidr| cidr == "0.0.0.0/0")
        || sets
            .into_iter()
            .any(|set| set["cidr"] == "0.0.0.0/0" && !excepted(set))
}

fn selected(selector: Option<&Value>, namespace: &str, members: &[Member]) -> BTreeSet<usize> {
    let Some(selector) = selector.and_then(plain) else {
        return BTreeSet::new();
    };
    let fits = |member: &Member| {
        (namespace.is_empty() || member.namespace == namespace) && selector.matches(&member.labels)
    };
    let all = members.iter().enumerate();
    all.filter(|(_, member)| fits(member))
        .map(|(at, _)| at)
        .collect()
}

/// The selector with names as pods have them: sources (`k8s:`, `any:`) are left out. One that names another source selects no pod.
fn plain(selector: &Value) -> Option<Selector> {
    let mut selector: LabelSelector = serde_json::from_value(selector.clone()).ok()?;
    let name = |key: &str| match key.split_once(':') {
        None => Some(key.to_owned()),
        Some(("k8s" | "any", rest)) => Some(rest.to_owned()),
        Some(_) => None,
    };
    if let Some(labels) = selector.match_labels.take() {
        let renamed = labels
            .into_iter()
            .map(|(key, value)| Some((name(&key)?, value)));
        selector.match_labels = Some(renamed.collect::<Option<BTreeMap<_, _>>>()?);
    }
    for expression in selector.match_expressions.iter_mut().flatten() {
        expression.key = name(&expression.key)?;
    }
    Selector::try_from(selector).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::member, *};

    fn of(data: Value) -> Rule {
        let mut whole = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "p", "namespace": "shop"}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        rule(
            "CiliumNetworkPolicy",
            &serde_json::from_value(whole).unwrap(),
            &[member("shop", "web")],
        )
    }

    #[test]
    fn sources_of_labels_are_understood_and_reserved_ones_select_no_pod() {
        let selects = |labels: Value| {
            of(json!({"spec": {"endpointSelector": {"matchLabels": labels}}}))
                .policy
                .selects
        };
        assert_eq!(selects(json!({"app": "web"})), 1);
        assert_eq!(selects(json!({"any:app": "web"})), 1);
        assert_eq!(
            selects(json!({"k8s:io.kubernetes.pod.namespace": "shop"})),
            1
        );
        assert_eq!(
            selects(json!({"k8s:io.kubernetes.pod.namespace": "bank"})),
            0
        );
        assert_eq!(selects(json!({"reserved:host": ""})), 0);
    }

    #[test]
    fn pods_are_selected_by_what_the_cni_says_of_them_too() {
        let selects = |key: &str, value: &str| {
            let spec = json!({"endpointSelector": {"matchLabels": {key: value}}});
            of(json!({"spec": spec})).policy.selects
        };
        for (key, is, other) in [
            ("k8s:io.cilium.k8s.namespace.labels.team", "blue", "red"),
            ("io.cilium.k8s.policy.cluster", "west", "east"),
            ("io.cilium.k8s.policy.serviceaccount", "web", "db"),
        ] {
            assert_eq!((selects(key, is), selects(key, other)), (1, 0), "{key}");
        }
    }

    #[test]
    fn isolation_is_by_direction_and_can_be_switched_off() {
        let ways = |spec: Value| {
            let rule = of(json!({"spec": spec}));
            (rule.ingress, rule.egress)
        };
        assert_eq!(
            ways(json!({"endpointSelector": {}, "ingress": [{}]})),
            (true, false)
        );
        let off = json!({"endpointSelector": {}, "ingress": [{}], "enableDefaultDeny": {"ingress": false}});
        assert_eq!(ways(off), (false, false));
        let deny = of(json!({"spec": {"endpointSelector": {}, "egressDeny": [{}]}}));
        assert!(deny.egress && deny.denies && deny.whole);
    }

    #[test]
    fn entities_and_ranges_that_open_are_seen() {
        let ingress = |rule: Value| {
            of(json!({"specs": [{"endpointSelector": {}, "ingress": [rule]}]})).policy
        };
        assert!(ingress(json!({"fromEntities": ["all"]})).allows_all_ingress);
        let ported = json!({"fromEntities": ["all"], "toPorts": [{"ports": [{"port": "80"}]}]});
        let found = ingress(ported);
        assert!(!found.allows_all_ingress && found.from_world);
        assert!(ingress(json!({"fromCIDR": ["0.0.0.0/0"]})).from_world);
        let except = json!({"fromCIDRSet": [{"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}]});
        assert!(!ingress(except).from_world);
        assert!(ingress(json!({"fromEntities": ["host"]})).host);
    }

    #[test]
    fn the_reason_of_an_invalid_policy_is_told() {
        let status = |status: &str| {
            json!({"spec": {"endpointSelector": {}}, "status": {"conditions": [
                {"type": "Valid", "status": status, "reason": "Unsupported", "message": "toFQDNs is not supported"},
            ]}})
        };
        assert_eq!(
            of(status("False")).policy.invalid.as_deref(),
            Some("toFQDNs is not supported")
        );
        assert_eq!(of(status("True")).policy.invalid, None);
    }
}
