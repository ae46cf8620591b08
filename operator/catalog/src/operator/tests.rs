use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::*;
use crate::component::tests::{golden, lossless, named};

fn rendered() -> Vec<DynamicObject> {
    let lock = ReleaseLock::embedded().unwrap();
    let images = ImageResolver::new(&lock, "", &BTreeMap::new(), "IfNotPresent", &[]).unwrap();
    install_objects(&lock, &images).unwrap()
}

fn all_rules() -> Vec<PolicyRule> {
    let rbac = rbac().unwrap();
    rbac.cluster
        .into_iter()
        .chain(rbac.namespaced.into_values().flatten())
        .collect()
}

#[test]
fn what_installs_the_operator_is_as_recorded() {
    golden("operator", &rendered());
}

#[test]
fn every_object_survives_kubernetes_own_types() {
    rendered().iter().for_each(lossless);
}

#[test]
fn no_rule_has_a_wildcard_or_a_right_nobody_may_have() {
    for rule in all_rules() {
        let text = serde_json::to_string(&rule).unwrap();
        for forbidden in [
            "\"*\"",
            "escalate",
            "\"bind\"",
            "impersonate",
            "nodes/proxy",
            "pods/exec",
            "pods/attach",
        ] {
            assert!(!text.contains(forbidden), "{forbidden} in {text}");
        }
    }
}

#[test]
fn secrets_are_read_by_any_name_only_in_our_two_namespaces() {
    let rbac = rbac().unwrap();
    let names = |rules: &[PolicyRule]| {
        rules.iter().any(|rule| {
            let reads = rule.verbs.iter().any(|verb| verb != "create");
            let secrets = rule
                .resources
                .iter()
                .flatten()
                .any(|name| name == "secrets");
            reads && secrets && rule.resource_names.is_none()
        })
    };
    assert!(!names(&rbac.cluster));
    let with: Vec<&str> = rbac
        .namespaced
        .iter()
        .filter(|(_, rules)| names(rules))
        .map(|(namespace, _)| namespace.as_str())
        .collect();
    assert_eq!(with, ["gloo-mesh", "gloonet-system"]);
}

#[test]
fn namespaces_definitions_and_volume_claims_are_never_deletable() {
    const KEPT: [&str; 3] = [
        "namespaces",
        "customresourcedefinitions",
        "persistentvolumeclaims",
    ];
    for rule in all_rules() {
        let kept = rule
            .resources
            .iter()
            .flatten()
            .any(|name| KEPT.contains(&name.as_str()));
        assert!(
            !(kept && rule.verbs.iter().any(|verb| verb == "delete")),
            "{rule:?}"
        );
    }
}

#[test]
fn every_rendered_kind_is_known_to_the_generator() {
    for component in crate::catalog() {
        let input = crate::component::tests::input();
        for object in component.objects(&input).unwrap() {
            assert!(grants::kind_of(&object).is_some(), "{:?}", object.types);
        }
    }
}

/// The API server refuses a role that holds more than its author: every rule of every operand's role must be covered.
#[test]
fn the_operator_holds_every_right_it_grants() {
    let rbac = rbac().unwrap();
    for object in crate::component::tests::everything() {
        let Some((_, kind @ ("ClusterRole" | "Role"), ..)) = grants::kind_of(&object) else {
            continue;
        };
        let rules: Vec<PolicyRule> = serde_json::from_value(object.data["rules"].clone()).unwrap();
        let mut held = rbac.cluster.clone();
        if kind == "Role" {
            held.extend(rbac.namespaced[object.metadata.namespace.as_deref().unwrap()].clone());
        }
        for rule in &rules {
            covered(rule, &held);
        }
    }
}

fn covered(rule: &PolicyRule, held: &[PolicyRule]) {
    let has = |list: &Option<Vec<String>>, wanted: &String| {
        list.iter().flatten().any(|item| item == wanted)
    };
    let wanted_names = rule.resource_names.clone().unwrap_or_default();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                let by = |name: Option<&String>| {
                    held.iter().any(|own| {
                        has(&own.api_groups, group)
                            && has(&own.resources, resource)
                            && own.verbs.contains(verb)
                            && (own.resource_names.is_none()
                                || name.is_some_and(|name| has(&own.resource_names, name)))
                    })
                };
                let ok = if wanted_names.is_empty() {
                    by(None)
                } else {
                    wanted_names.iter().all(|name| by(Some(name)))
                };
                assert!(ok, "{verb} on {group}/{resource} is granted but not held");
            }
        }
    }
}

#[test]
fn the_api_servers_address_comes_from_an_optional_config_map() {
    let objects = rendered();
    let pod = &named(&objects, "Deployment", "gloonet-operator").data["spec"]["template"]["spec"];
    let host = pod["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|env| env["name"] == "KUBERNETES_SERVICE_HOST")
        .unwrap();
    assert_eq!(host["valueFrom"]["configMapKeyRef"]["optional"], true);
    assert_eq!(pod["hostNetwork"], true);
}
