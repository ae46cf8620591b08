use gloonet_api::ManagementState;

use super::*;
use crate::component::tests::{input, input_of};
use crate::{KeyUsage, SecretKind, State};

#[test]
fn by_default_there_is_one_authority_four_certificates_and_two_passwords() {
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
            GATEWAY_TLS,
            COLLECTOR_TLS,
            REDIS_AUTH,
            GRAFANA_ADMIN
        ]
    );
}

#[test]
fn the_authoritys_key_lies_only_in_the_operators_namespace() {
    let authorities: Vec<_> = Trust
        .secrets(&input())
        .into_iter()
        .filter(|spec| matches!(spec.kind, SecretKind::Ca { .. }))
        .collect();
    assert_eq!(authorities.len(), 1);
    assert_eq!(authorities[0].namespace, "gloonet-system");
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
    });
    let names: Vec<String> = Trust
        .secrets(&input)
        .into_iter()
        .map(|spec| spec.name)
        .collect();
    assert_eq!(names, [REDIS_AUTH, GRAFANA_ADMIN]);
}

#[test]
fn a_missing_secret_is_named_in_the_health() {
    let complete_secrets = vec!["gloonet-system/gloonet-ca".to_owned()];
    let observed = Observed {
        complete_secrets,
        complete: true,
        ..Observed::default()
    };
    let health = Trust.health(&input(), &observed);
    assert_eq!(
        (health.state, health.ready, health.desired),
        (State::Progressing, 1, 7)
    );
    assert!(
        health.message.contains("gloo-mesh/gloo-mesh-redis-auth"),
        "{}",
        health.message
    );
}
