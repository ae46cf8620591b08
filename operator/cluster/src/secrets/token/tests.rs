use gloonet_catalog::SecretKind;
use k8s_openapi::ByteString;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::*;
use crate::eyes::Source;

const NAMESPACE: &str = "gloo-mesh";

fn spec() -> SecretSpec {
    SecretSpec {
        namespace: NAMESPACE.to_owned(),
        name: "relay-identity-token-secret".to_owned(),
        kind: SecretKind::Token {
            cluster: "west".parse().unwrap(),
            records: SecretName::new(NAMESPACE, "relay-enrolment-tokens"),
            certificate: SecretName::new(NAMESPACE, "relay-client-tls-secret"),
            root: SecretName::new(NAMESPACE, "relay-root-tls-secret"),
        },
    }
}

fn seen(secrets: &[Value]) -> Seen {
    let source = Source::Secrets(NAMESPACE.to_owned());
    let mut seen = Seen::default();
    seen.expect(&source);
    seen.take(&source, Event::Init);
    seen.take(&source, Event::InitDone);
    for secret in secrets {
        let object = serde_json::from_value(secret.clone()).unwrap();
        seen.take(&source, Event::Apply(object));
    }
    seen
}

fn secret(name: &str, data: Value, expires: Option<&str>) -> Value {
    let mut metadata =
        json!({"name": name, "namespace": NAMESPACE, "uid": "u", "resourceVersion": "1"});
    if let Some(expires) = expires {
        metadata["annotations"] = json!({EXPIRES: expires});
    }
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
}

fn token(expires: &str) -> Value {
    secret(
        "relay-identity-token-secret",
        json!({"token": ByteString(b"t".to_vec())}),
        Some(expires),
    )
}

fn records() -> Value {
    let data = json!({"west": ByteString(b"{}".to_vec())});
    secret("relay-enrolment-tokens", data, None)
}

fn root(authority: &str) -> Value {
    let data = json!({"ca.crt": ByteString(authority.as_bytes().to_vec())});
    secret("relay-root-tls-secret", data, None)
}

/// Good from 1975 to 4096, as rcgen dates what is not dated.
fn client(authority: &str) -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["west".to_owned()]).unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    secret(
        "relay-client-tls-secret",
        json!({"tls.crt": ByteString(pem.into_bytes()), "ca.crt": ByteString(authority.as_bytes().to_vec())}),
        None,
    )
}

fn judged(secrets: &[Value], now: &str) -> Option<SecretCondition> {
    condition(&seen(secrets), &spec(), now.parse().unwrap())
}

#[test]
fn an_agent_without_a_certificate_needs_a_token_that_has_not_expired() {
    let fresh = token("2026-01-01T01:00:00Z");
    assert_eq!(
        judged(&[], "2026-01-01T00:00:00Z"),
        Some(SecretCondition::Missing)
    );
    assert_eq!(
        judged(&[records(), fresh.clone()], "2026-01-01T00:59:59Z"),
        Some(SecretCondition::Complete)
    );
    assert_eq!(
        judged(&[records(), fresh], "2026-01-01T01:00:00Z"),
        Some(SecretCondition::Expiring)
    );
}

#[test]
fn a_token_of_which_the_server_has_no_record_is_made_anew() {
    let fresh = token("2026-01-01T01:00:00Z");
    let emptied = secret("relay-enrolment-tokens", json!({}), None);
    for secrets in [vec![fresh.clone()], vec![emptied, fresh]] {
        assert_eq!(
            judged(&secrets, "2026-01-01T00:00:00Z"),
            Some(SecretCondition::Incomplete)
        );
    }
}

#[test]
fn a_certificate_of_an_authority_that_was_replaced_is_none() {
    let now = "2026-01-01T00:00:00Z";
    let spent = token("2025-01-01T00:00:00Z");
    let with = |authority| [records(), root(authority), client("old"), spent.clone()];
    assert_eq!(judged(&with("old"), now), Some(SecretCondition::Complete));
    assert_eq!(judged(&with("new"), now), Some(SecretCondition::Expiring));
}

#[test]
fn an_agent_with_a_good_certificate_needs_none() {
    let spent = secret("relay-identity-token-secret", json!({}), None);
    assert_eq!(
        judged(&[client("ca"), spent.clone()], "2026-01-01T00:00:00Z"),
        Some(SecretCondition::Complete)
    );
    assert_eq!(
        judged(&[client("ca"), spent], "4999-01-01T00:00:00Z"),
        Some(SecretCondition::Incomplete)
    );
}

#[test]
fn before_the_secrets_were_read_nothing_is_said() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(condition(&Seen::default(), &spec(), now), None);
}
