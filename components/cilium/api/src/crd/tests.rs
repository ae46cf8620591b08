//! The shape of each definition beside the facts of upstream's (cilium.md §2, `client/crds/v2/*.yaml`).

use serde_json::Value;

use super::*;

fn crd(plural: &str) -> Value {
    let found = crds().into_iter().find(|c| c.spec.names.plural == plural);
    serde_json::to_value(found.unwrap()).unwrap()
}

/// `name:path` of each column; those of `-o wide` in brackets.
fn columns(crd: &Value) -> Vec<String> {
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap();
    let text = |c: &Value| {
        format!(
            "{}:{}",
            c["name"].as_str().unwrap(),
            c["jsonPath"].as_str().unwrap()
        )
    };
    columns
        .iter()
        .map(|c| {
            if c["priority"] == 1 {
                format!("[{}]", text(c))
            } else {
                text(c)
            }
        })
        .collect()
}

fn properties(schema: &Value) -> Vec<&str> {
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn only_kinds_that_something_implements_are_served() {
    let names: Vec<_> = crds().into_iter().filter_map(|c| c.metadata.name).collect();
    assert_eq!(
        names,
        [
            "ciliumendpoints.cilium.io",
            "ciliumidentities.cilium.io",
            "ciliumnodes.cilium.io",
            "ciliumloadbalancerippools.cilium.io",
            "ciliumnetworkpolicies.cilium.io",
            "ciliumclusterwidenetworkpolicies.cilium.io",
            "ciliumcidrgroups.cilium.io",
        ]
    );
}

#[test]
fn every_kind_is_served_and_stored_as_v2_in_the_category_cilium() {
    for crd in crds() {
        assert_eq!(crd.spec.group, "cilium.io");
        assert_eq!(crd.spec.names.categories, Some(vec!["cilium".to_owned()]));
        let versions: Vec<_> = crd
            .spec
            .versions
            .iter()
            .map(|v| (v.name.as_str(), v.served, v.storage))
            .collect();
        assert_eq!(versions, [("v2", true, true)]);
    }
}

#[test]
fn cilium_node_has_upstreams_names_scope_and_columns() {
    let crd = crd("ciliumnodes");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["cn", "ciliumn"])
    );
    assert_eq!(
        columns(&crd),
        [
            r#"CiliumInternalIP:.spec.addresses[?(@.type=="CiliumInternalIP")].ip"#,
            r#"InternalIP:.spec.addresses[?(@.type=="InternalIP")].ip"#,
            "Age:.metadata.creationTimestamp"
        ]
    );
    assert_eq!(
        crd["spec"]["versions"][0]["subresources"]["status"],
        serde_json::json!({})
    );
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &root["properties"]["spec"];
    assert_eq!(
        properties(spec),
        [
            "addresses",
            "bootid",
            "encryption",
            "health",
            "instance-id",
            "ipam"
        ]
    );
    assert_eq!(properties(&spec["properties"]["ipam"]), ["podCIDRs"]);
    assert_eq!(
        properties(&root["properties"]["status"]["properties"]["ipam"]),
        ["operator-status", "pod-cidrs", "used"]
    );
}

#[test]
fn cilium_endpoint_has_upstreams_names_scope_and_columns_and_no_status_subresource() {
    let crd = crd("ciliumendpoints");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["cep", "ciliumep"])
    );
    assert_eq!(
        columns(&crd),
        [
            "Security Identity:.status.identity.id",
            "[Ingress Enforcement:.status.policy.ingress.state]",
            "[Egress Enforcement:.status.policy.egress.state]",
            "Endpoint State:.status.state",
            "IPv4:.status.networking.addressing[0].ipv4",
            "IPv6:.status.networking.addressing[0].ipv6"
        ]
    );
    assert_eq!(
        crd["spec"]["versions"][0]["subresources"],
        serde_json::json!({})
    );
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(root["required"], serde_json::json!(["metadata"]));
    let state = &root["properties"]["status"]["properties"]["state"];
    assert_eq!(
        state["enum"],
        serde_json::json!([
            "creating",
            "waiting-for-identity",
            "not-ready",
            "waiting-to-regenerate",
            "regenerating",
            "restoring",
            "ready",
            "disconnecting",
            "disconnected",
            "invalid"
        ])
    );
}

#[test]
fn cilium_identity_has_upstreams_names_scope_and_columns_and_labels_at_the_top() {
    let crd = crd("ciliumidentities");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["ciliumid"])
    );
    assert_eq!(
        columns(&crd),
        [
            r"Namespace:.metadata.labels.io\.kubernetes\.pod\.namespace",
            "Age:.metadata.creationTimestamp"
        ]
    );
    assert_eq!(
        crd["spec"]["versions"][0]["subresources"],
        serde_json::json!({"status": {}})
    );
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(
        root["required"],
        serde_json::json!(["metadata", "security-labels"])
    );
    let labels = &root["properties"]["security-labels"];
    assert_eq!(
        (&labels["type"], &labels["additionalProperties"]["type"]),
        (&"object".into(), &"string".into())
    );
}

/// The API server answers a definition whose schema names a format it does not know with a warning on every apply.
#[test]
fn schemas_name_only_formats_that_the_api_server_knows() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(format) = map.get("format").and_then(Value::as_str) {
                    found.push(format.to_owned());
                }
                map.values().for_each(|v| walk(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut formats = Vec::new();
    for crd in crds() {
        walk(&serde_json::to_value(crd).unwrap(), &mut formats);
    }
    formats.sort();
    formats.dedup();
    assert_eq!(formats, ["int32", "int64"]);
}

/// Paths of the objects in a schema, with whether fields they do not name are kept.
fn objects(schema: &Value, path: &str, found: &mut Vec<(String, bool)>) {
    if schema["type"] == "object" && schema["additionalProperties"].is_null() {
        let kept = schema["x-kubernetes-preserve-unknown-fields"] == true;
        found.push((path.to_owned(), kept));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        objects(field, &format!("{path}.{name}"), found);
    }
    if schema["items"].is_object() {
        objects(&schema["items"], &format!("{path}[]"), found);
    }
}

/// A field dropped unseen can turn "from these" into "from everyone".
#[test]
fn only_what_users_write_into_policies_keeps_unknown_fields_and_all_of_it_does() {
    for crd in crds() {
        let name = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut found = Vec::new();
        objects(root, "", &mut found);
        let is_policy = name.ends_with("Policy") || name == "CiliumCIDRGroup";
        for (path, kept) in found {
            let expected = is_policy && path.starts_with(".spec");
            assert_eq!(kept, expected, "{name}{path}");
        }
    }
}

#[test]
fn policies_have_upstreams_names_scopes_and_columns_and_need_a_rule() {
    for (plural, scope, short_names) in [
        (
            "ciliumnetworkpolicies",
            "Namespaced",
            serde_json::json!(["cnp", "ciliumnp"]),
        ),
        (
            "ciliumclusterwidenetworkpolicies",
            "Cluster",
            serde_json::json!(["ccnp"]),
        ),
    ] {
        let crd = crd(plural);
        assert_eq!(crd["spec"]["scope"], scope);
        assert_eq!(crd["spec"]["names"]["shortNames"], short_names);
        assert_eq!(
            columns(&crd),
            [
                "Age:.metadata.creationTimestamp",
                "Valid:.status.conditions[?(@.type=='Valid')].status"
            ]
        );
        let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(properties(root), ["spec", "specs", "status"]);
        let rule = "has(self.spec) || has(self.specs)";
        assert_eq!(root["x-kubernetes-validations"][0]["rule"], rule);
        assert_eq!(
            properties(&root["properties"]["spec"]["properties"]["egress"]["items"]),
            [
                "authentication",
                "icmps",
                "toCIDR",
                "toCIDRSet",
                "toEndpoints",
                "toEntities",
                "toFQDNs",
                "toGroups",
                "toNodes",
                "toPorts",
                "toRequires",
                "toServices"
            ]
        );
    }
}

#[test]
fn a_cidr_group_lists_external_networks() {
    let crd = crd("ciliumcidrgroups");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["ccg"])
    );
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(properties(&root["properties"]["spec"]), ["externalCIDRs"]);
}

#[test]
fn a_pool_of_load_balancer_addresses_has_upstreams_names_scope_and_columns() {
    let crd = crd("ciliumloadbalancerippools");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["ippools", "ippool", "lbippool", "lbippools"])
    );
    assert_eq!(
        columns(&crd),
        [
            "Disabled:.spec.disabled",
            r#"Conflicting:.status.conditions[?(@.type=="cilium.io/PoolConflict")].status"#,
            r#"IPs Available:.status.conditions[?(@.type=="cilium.io/IPsAvailable")].message"#,
            "Age:.metadata.creationTimestamp"
        ]
    );
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["subresources"]["status"], serde_json::json!({}));
    let root = &version["schema"]["openAPIV3Schema"];
    assert_eq!(
        properties(&root["properties"]["spec"]),
        ["allowFirstLastIPs", "blocks", "disabled", "serviceSelector"]
    );
}

/// Without keys, an apply of our conditions would take away those of others.
#[test]
fn a_block_of_a_pool_is_written_in_one_way_and_conditions_have_types_as_keys() {
    let crd = crd("ciliumloadbalancerippools");
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let blocks = &root["spec"]["properties"]["blocks"];
    assert_eq!(properties(&blocks["items"]), ["cidr", "start", "stop"]);
    let rule = blocks["x-kubernetes-validations"][0]["rule"]
        .as_str()
        .unwrap();
    assert!(
        rule.contains("has(b.cidr) ? !has(b.start) && !has(b.stop)"),
        "{rule}"
    );
    let conditions = &root["status"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-list-type"], "map");
    assert_eq!(
        conditions["x-kubernetes-list-map-keys"],
        serde_json::json!(["type"])
    );
    let first_last = &root["spec"]["properties"]["allowFirstLastIPs"]["enum"];
    assert_eq!(first_last, &serde_json::json!(["Yes", "No"]));
}
