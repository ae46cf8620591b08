use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{GlooNetwork, GlooNetworkSpec, cilium::Mtu, redis::RedisMode};

fn schema() -> Value {
    serde_json::to_value(GlooNetwork::crd()).unwrap()["spec"].clone()
}

fn spec_property(path: &[&str]) -> Value {
    path.iter().fold(
        schema()["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone(),
        |at, name| at["properties"][name].clone(),
    )
}

#[test]
fn the_resource_is_cluster_scoped_with_short_name_and_columns() {
    let spec = schema();
    assert_eq!(spec["scope"], "Cluster");
    assert_eq!(spec["names"]["shortNames"], json!(["glonet"]));
    let columns: Vec<_> = spec["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(
        columns,
        [
            "Version",
            "Available",
            "Progressing",
            "Degraded",
            "Message",
            "Age"
        ]
    );
}

#[test]
fn every_rule_has_a_message_of_its_own() {
    fn rules(at: &Value, found: &mut Vec<Value>) {
        match at {
            Value::Object(fields) => {
                if let Some(Value::Array(here)) = fields.get("x-kubernetes-validations") {
                    found.extend(here.iter().cloned());
                }
                fields.values().for_each(|child| rules(child, found));
            }
            Value::Array(items) => items.iter().for_each(|child| rules(child, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    rules(&schema(), &mut found);
    assert_eq!(found.len(), 10, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|rule| rule["message"].as_str().is_some_and(|text| text.len() > 20)),
        "{found:#?}"
    );
}

#[test]
fn the_schema_holds_the_same_defaults_as_the_code() {
    let smallest: GlooNetworkSpec = serde_json::from_value(json!({"clusterName": "west"})).unwrap();
    assert_eq!(smallest, GlooNetworkSpec::named("west"));
    assert_eq!(
        spec_property(&["cilium", "ipam", "clusterPoolIPv4CIDRs"])["default"],
        json!(["10.244.0.0/16"])
    );
    assert_eq!(spec_property(&["redis", "mode"])["default"], "Managed");
    assert_eq!(
        spec_property(&["gloo", "managementServer", "safeMode"])["default"],
        "Enabled"
    );
    assert_eq!(
        spec_property(&["gloo", "managementServer", "service", "type"])["default"],
        "ClusterIP"
    );
    assert_eq!(
        spec_property(&["redis", "managed", "resources"])["default"]["limits"]["memory"],
        "256Mi"
    );
    assert_eq!(
        spec_property(&["cilium", "routing", "mtu"])["default"],
        "Auto"
    );
}

#[test]
fn enums_are_plain_enums_in_the_schema() {
    assert_eq!(
        spec_property(&["role"])["enum"],
        json!(["Management", "Workload", "Standalone"])
    );
    assert_eq!(spec_property(&["role"])["type"], "string");
}

#[test]
fn mtu_is_a_word_or_a_number() {
    let mtu = |text: Value| serde_json::from_value::<Mtu>(text);
    assert_eq!(mtu(json!("Auto")).unwrap(), Mtu::Auto);
    assert_eq!(mtu(json!(1400)).unwrap(), Mtu::Bytes(1400));
    assert!(
        mtu(json!("auto"))
            .unwrap_err()
            .to_string()
            .contains("want Auto or a number")
    );
    assert_eq!(
        spec_property(&["cilium", "routing", "mtu"])["x-kubernetes-int-or-string"],
        true
    );
}

#[test]
fn status_computed_keeps_every_field() {
    let computed = &schema()["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        ["computed"];
    assert_eq!(computed["x-kubernetes-preserve-unknown-fields"], true);
}

#[test]
fn a_mode_is_read_as_it_is_written() {
    let spec: GlooNetworkSpec =
        serde_json::from_value(json!({"clusterName": "w", "redis": {"mode": "External", "external": {"address": "r:6379"}}})).unwrap();
    assert_eq!(spec.redis.mode, RedisMode::External);
}

#[test]
fn every_number_has_a_format_the_api_server_knows() {
    let text = schema().to_string();
    assert!(!text.contains("\"format\":\"uint"), "{text}");
}
