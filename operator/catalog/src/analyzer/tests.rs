use serde_json::Value;

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, kind_of, named, running};

const POD: &str = "gloo-mesh/gloo-analyzer-a";

#[test]
fn an_analyzer_whose_reports_do_not_leave_is_degraded_and_says_why() {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![answered(RUNS, POD, &[])];
    assert_eq!(Analyzer.health(&input(), &observed).state, State::Healthy);
    observed.probes = vec![failed(
        RUNS,
        POD,
        "trouble is not empty: the report of nodes did not leave",
    )];
    observed.earlier = observed.probes.clone();
    let health = Analyzer.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("did not leave"),
        "{}",
        health.message
    );
}

#[test]
fn no_key_is_mounted_but_its_own_and_no_secret_may_be_read() {
    let objects = Analyzer.objects(&input()).unwrap();
    let spec = &named(&objects, "Deployment", "gloo-analyzer").data["spec"]["template"]["spec"];
    let sources = spec["volumes"][1]["projected"]["sources"]
        .as_array()
        .unwrap();
    assert!(sources.len() >= 6, "{sources:?}");
    let items = sources
        .iter()
        .flat_map(|source| source["secret"]["items"].as_array().unwrap());
    for item in items {
        assert!(
            ["tls.crt", "ca.crt"].contains(&item["key"].as_str().unwrap()),
            "{item}"
        );
    }
    let rules = objects
        .iter()
        .filter(|object| ["ClusterRole", "Role"].contains(&kind_of(object)))
        .flat_map(|object| object.data["rules"].as_array().unwrap().clone());
    for rule in rules {
        let of = |field: &str| -> Vec<Value> { rule[field].as_array().unwrap().clone() };
        assert!(!of("resources").contains(&"secrets".into()), "{rule}");
        assert!(
            of("verbs")
                .iter()
                .all(|verb| ["get", "list", "watch"].contains(&verb.as_str().unwrap()))
        );
    }
}
