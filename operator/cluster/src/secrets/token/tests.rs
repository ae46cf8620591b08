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
            certificate: certificate(),
        },
    }
}

fn certificate() -> SecretName {
    SecretName::new(NAMESPACE, "relay-client-tls-secret")
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

/// Good from 1975 to 4096, as rcgen dates what is not dated.
fn client() -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["west".to_owned()]).unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    secret(
        "relay-client-tls-secret",
        json!({"tls.crt": ByteString(pem.into_bytes())}),
        None,
    )
}

fn judged(secrets: &[Value], now: &str) -> Option<SecretCondition> {
    condition(
        &seen(secrets),
        &spec(),
        &certificate(),
        now.parse().unwrap(),
    )
}

#[test]
fn an_agent_without_a_certificate_needs_a_token_that_has_not_expired() {
    let fresh = token("2026-01-01T01:00:00Z");
    assert_eq!(
        judged(&[], "2026-01-01T00:00:00Z"),
        Some(SecretCondition::Missing)
    );
    assert_eq!(
        judged(std::slice::from_ref(&fresh), "2026-01-01T00:59:59Z"),
        Some(SecretCondition::Complete)
    );
    assert_eq!(
        judged(&[fresh], "2026-01-01T01:00:00Z"),
        Some(SecretCondition::Expiring)
    );
}

#[test]
fn an_agent_with_a_good_certificate_needs_none() {
    let spent = secret("relay-identity-token-secret", json!({}), None);
    assert_eq!(
        judged(&[client(), spent.clone()], "2026-01-01T00:00:00Z"),
        Some(SecretCondition::Complete)
    );
    assert_eq!(
        judged(&[client(), spent], "4999-01-01T00:00:00Z"),
        Some(SecretCondition::Incomplete)
    );
}

#[test]
fn before_the_secrets_were_read_nothing_is_said() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        condition(&Seen::default(), &spec(), &certificate(), now),
        None
    );
}
