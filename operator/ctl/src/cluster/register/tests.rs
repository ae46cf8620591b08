use super::*;

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
fn a_token_lives_an_hour_at_most() {
    assert_eq!(ttl("10m"), Ok(Duration::from_mins(10)));
    for bad in ["0s", "61m", "soon"] {
        assert!(ttl(bad).is_err(), "{bad}");
    }
}
