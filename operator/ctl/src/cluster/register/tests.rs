use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::validate;

use super::*;
use crate::offline;

fn made() -> Enrolment {
    Enrolment {
        token: "canary-token".to_owned(),
        expires: "2026-01-01T01:00:00Z".parse().unwrap(),
    }
}

#[test]
fn the_workload_cluster_gets_a_namespace_the_root_and_the_token_and_no_key() {
    let objects = objects::all("ROOT PEM", &made()).unwrap();
    let names: Vec<_> = objects
        .iter()
        .map(|object| {
            let kind = &object.types.as_ref().unwrap().kind;
            format!("{kind} {}", object.metadata.name.as_deref().unwrap())
        })
        .collect();
    assert_eq!(
        names,
        [
            "Namespace gloo-mesh",
            "Secret relay-root-tls-secret",
            "Secret relay-identity-token-secret"
        ]
    );
    let text = serde_json::to_string(&objects).unwrap();
    assert!(!text.contains("tls.key"), "{text}");
}

#[test]
fn what_is_said_afterwards_names_cluster_and_server_and_never_the_token() {
    let next = objects::next(&"east".parse().unwrap(), "172.30.0.10:9900", &made());
    assert!(
        next.contains("clusterName: east") && next.contains("\"172.30.0.10:9900\""),
        "{next}"
    );
    assert!(!next.contains("canary"), "{next}");
}

#[test]
fn what_is_to_be_applied_is_accepted_with_the_gateway_filled_in_or_without_collectors() {
    let next = objects::next(&"east".parse().unwrap(), "172.30.0.10:9900", &made());
    let lines = next.lines().skip_while(|line| line.trim() != "spec:");
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).collect();
    let refused = |from: &str, to: &str| -> Vec<String> {
        let text = lines.join("\n").replace(from, to);
        let object: serde_json::Value = serde_norway::from_str(&text).unwrap();
        let spec: GlooNetworkSpec = serde_json::from_value(object["spec"].clone()).unwrap();
        let facts = offline::facts(&spec, ("192.0.2.1".to_owned(), 6443)).unwrap();
        let refusals = validate(&spec, &facts).err().unwrap_or_default();
        refusals.into_iter().map(|one| one.field).collect()
    };
    assert_eq!(refused("<gateway>", "192.0.2.10"), Vec::<String>::new());
    let removed = ("gatewayAddress: \"<gateway>:4320\"", "state: Removed");
    assert_eq!(refused(removed.0, removed.1), Vec::<String>::new());
    // Left as it is, it says what is missing and takes no effect.
    assert_eq!(refused("", ""), ["telemetry.collectors.gatewayAddress"]);
}

#[test]
fn a_token_lives_an_hour_at_most() {
    assert_eq!(ttl("10m"), Ok(Duration::from_mins(10)));
    for bad in ["0s", "61m", "soon"] {
        assert!(ttl(bad).is_err(), "{bad}");
    }
}
