use serde_json::json;

use super::*;

fn read(spec: Value) -> ReadRule {
    read_rules(Some(&spec), None).remove(0)
}

fn refused<T>(part: Option<&Part<T>>) -> String {
    match part {
        Some(Err(refusal)) => refusal.to_string(),
        _ => panic!("it was read"),
    }
}

#[test]
fn absent_empty_and_wildcard_lists_of_peers_stay_three_different_things() {
    let rule = read(json!({"endpointSelector": {}, "ingress": [
        {}, {"fromEndpoints": []}, {"fromEndpoints": [{}]}, {"fromEndpoints": null},
    ]}));
    let lists: Vec<_> = rule
        .ingress
        .into_iter()
        .map(|rule| rule.unwrap().from_endpoints)
        .collect();
    assert_eq!(
        lists,
        [None, Some(vec![]), Some(vec![Selector::default()]), None]
    );
}

#[test]
fn a_misspelled_field_is_refused_with_its_path_and_costs_only_its_element() {
    let rule = read(json!({"endpointSelector": {}, "ingress": [
        {"fromEndpointz": [{}]}, {"fromEntities": ["host"]},
    ]}));
    let refusal = refused(rule.ingress.first());
    assert!(refusal.starts_with("spec.ingress[0]"), "{refusal}");
    assert!(refusal.contains("fromEndpointz"), "{refusal}");
    assert!(rule.ingress[1].is_ok());
}

#[test]
fn a_wrong_value_is_refused_where_it_stands() {
    let rule = read(
        json!({"endpointSelector": {"matchLabels": {"app": 1}}, "egress": [
            {"toEntities": ["wörld"]}, {"toPorts": [{"ports": [{"port": 80}]}]},
        ]}),
    );
    assert!(
        refused(rule.endpoint_selector.as_ref())
            .starts_with("spec.endpointSelector.matchLabels.app: ")
    );
    assert!(refused(rule.egress.first()).starts_with("spec.egress[0].toEntities[0]: "));
    assert!(refused(rule.egress.get(1)).starts_with("spec.egress[1].toPorts[0].ports[0].port: "));
}

#[test]
fn an_unknown_field_of_the_rule_is_named() {
    let rule = read(json!({"endpointSelector": {}, "ingresDeny": [{}]}));
    assert_eq!(rule.refusals[0].path, "spec.ingresDeny");
}

#[test]
fn no_rule_at_all_is_a_rule_that_only_refuses() {
    for (spec, specs) in [
        (None, None),
        (Some(json!("x")), None),
        (None, Some(json!({}))),
        (None, Some(json!([]))),
    ] {
        let rules = read_rules(spec.as_ref(), specs.as_ref());
        assert_eq!(rules.len(), 1);
        assert!(!rules[0].refusals.is_empty());
        assert!(matches!(rules[0].endpoint_selector, Some(Err(_))));
    }
}

#[test]
fn a_cidr_group_is_read_in_full_or_not_at_all() {
    let group = |value| read_cidr_group(Some(&json!({"externalCIDRs": value})));
    assert_eq!(
        group(json!(["192.0.2.7/24", "2001:db8::/32", "198.51.100.1"])).unwrap(),
        [
            "192.0.2.0/24".parse().unwrap(),
            "198.51.100.1/32".parse().unwrap()
        ]
    );
    let refusal = group(json!(["192.0.2.0/24", "192.0.2.0/33"])).unwrap_err();
    assert_eq!(refusal.path, "spec.externalCIDRs[1]");
    assert!(read_cidr_group(Some(&json!({"externalCIDRz": []}))).is_err());
    assert!(read_cidr_group(None).is_err());
}
