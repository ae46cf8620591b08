use gloonet_api::ManagementState;

use super::*;
use crate::component::tests::{input, input_of};
use crate::{KeyUsage, SecretKind, State};

#[test]
fn by_default_there_are_two_authorities_with_what_they_sign_and_five_passwords() {
    let names: Vec<String> = Trust
        .secrets(&input())
        .into_iter()
        .map(|spec| spec.name)
        .collect();
    assert_eq!(
        names,
        [
            "gloonet-ca",
            "hubble-server-certs",
            "hubble-relay-client-certs",
            "hubble-relay-client-certs",
            "hubble-relay-server-certs",
            GATEWAY_TLS,
            COLLECTOR_TLS,
            COLLECTOR_SERVER_TLS,
            "gloo-telemetry-token-signing-secret",
            ANALYZER_TLS,
            "gloo-mesh-redis-operator-auth",
            "gloo-mesh-redis-mgmt-server-auth",
            "gloo-mesh-redis-sink-auth",
            "gloo-mesh-redis-insights-auth",
            GRAFANA_ADMIN,
            "relay-tls-signing-secret",
            "relay-enrolment-tokens",
            "relay-store-key",
            "relay-server-tls-secret",
            "relay-root-tls-secret",
            "relay-client-tls-secret",
            "relay-identity-token-secret"
        ]
    );
}

/// The relay's is in the server's hands, and signs for nobody else.
#[test]
fn the_operators_authority_lies_only_in_its_namespace_and_the_relays_signs_only_the_relays() {
    let authorities: Vec<_> = Trust
        .secrets(&input())
        .into_iter()
        .filter(|spec| matches!(spec.kind, SecretKind::Ca { .. }))
        .collect();
    let places: Vec<_> = authorities
        .iter()
        .map(|spec| (spec.namespace.as_str(), spec.name.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("gloonet-system", "gloonet-ca"),
            ("gloo-mesh", "relay-tls-signing-secret")
        ]
    );
    for spec in Trust.secrets(&input()) {
        let by_relay = spec
            .kind
            .authority()
            .is_some_and(|ca| ca.name == "relay-tls-signing-secret");
        assert_eq!(
            by_relay,
            ["relay-server-tls-secret", "relay-root-tls-secret"].contains(&spec.name.as_str()),
            "{}",
            spec.name
        );
    }
}

#[test]
fn a_collectors_certificate_names_its_cluster_and_cannot_serve() {
    let secrets = Trust.secrets(&input());
    let collector = secrets
        .iter()
        .find(|spec| spec.name == COLLECTOR_TLS)
        .unwrap();
    let SecretKind::Leaf {
        common_name,
        usages,
        ..
    } = &collector.kind
    else {
        panic!("no leaf")
    };
    assert_eq!(
        (common_name.as_str(), usages.as_slice()),
        ("west", &[KeyUsage::ClientAuth][..])
    );
}

#[test]
fn what_is_not_installed_gets_no_secret() {
    let input = input_of(|spec| {
        spec.telemetry.gateway.state = ManagementState::Removed;
        spec.telemetry.collectors.state = ManagementState::Removed;
        spec.cilium.hubble.state = gloonet_api::Switch::Disabled;
        spec.gloo.management_server.state = ManagementState::Removed;
        spec.gloo.agent.state = ManagementState::Removed;
    });
    assert_eq!(
        names(&input),
        [
            "gloo-mesh-redis-operator-auth",
            "gloo-mesh-redis-mgmt-server-auth",
            "gloo-mesh-redis-sink-auth",
            "gloo-mesh-redis-insights-auth",
            GRAFANA_ADMIN,
            "relay-tls-signing-secret",
            "relay-enrolment-tokens",
            "relay-store-key"
        ]
    );
}

#[test]
fn a_workload_cluster_has_no_authority_of_the_relay_and_brings_nothing_that_registration_brings() {
    let input = input_of(|spec| {
        spec.role = gloonet_api::Role::Workload;
        spec.telemetry.collectors.state = ManagementState::Removed;
        spec.gloo.agent.management_address = Some("172.30.0.10:9900".to_owned());
    });
    assert_eq!(
        names(&input),
        [
            "gloonet-ca",
            "hubble-server-certs",
            "hubble-relay-client-certs",
            "hubble-relay-client-certs",
            "hubble-relay-server-certs",
            "relay-client-tls-secret"
        ]
    );
}

fn names(input: &Input) -> Vec<String> {
    let secrets = Trust.secrets(input).into_iter();
    secrets.map(|spec| spec.name).collect()
}

#[test]
fn a_missing_secret_is_named_in_the_health() {
    let complete_secrets = vec!["gloonet-system/gloonet-ca".to_owned()];
    let observed = Observed {
        complete_secrets,
        ..Observed::default()
    };
    let health = Trust.health(&input(), &observed);
    assert_eq!(
        (health.state, health.ready, health.desired),
        (State::Progressing, 1, 22)
    );
    assert!(
        health
            .message
            .contains("gloo-mesh/gloo-mesh-redis-operator-auth"),
        "{}",
        health.message
    );
}
