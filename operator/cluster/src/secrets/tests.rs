use gloonet_api::MESH_NAMESPACE;
use kube::runtime::watcher::Event;

use super::*;

fn password(namespace: &str) -> SecretSpec {
    SecretSpec {
        namespace: namespace.to_owned(),
        name: "password".to_owned(),
        kind: SecretKind::Password {
            username: "admin".to_owned(),
            length: 32,
        },
    }
}

#[test]
fn a_secret_that_was_not_read_stays_wanted_and_hides_no_other() {
    let source = Source::Secrets(MESH_NAMESPACE.to_owned());
    let mut seen = Seen::default();
    for event in [Event::Init, Event::InitDone] {
        seen.take(&source, event);
    }
    let specs = vec![password("kube-system"), password(MESH_NAMESPACE)];
    let judged = judge(&seen, specs.clone(), Timestamp::UNIX_EPOCH);
    let named: Vec<_> = judged.iter().map(|secret| secret.spec.clone()).collect();
    assert_eq!(named, specs);
    let how: Vec<_> = judged.iter().map(|secret| secret.condition).collect();
    assert_eq!(how, [SecretCondition::Unread, SecretCondition::Missing]);
}
