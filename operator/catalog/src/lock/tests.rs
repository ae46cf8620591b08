use super::*;

const HEX: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

#[test]
fn the_embedded_lock_is_complete() {
    let lock = ReleaseLock::embedded().unwrap();
    assert_eq!(lock.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(lock.component_version(ComponentId::Redis), Some("7.0.15"));
}

#[test]
fn an_unknown_version_is_refused_and_the_sentence_names_what_is_there() {
    let refusal = ReleaseLock::embedded()
        .unwrap()
        .require_version("9.9.9")
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        "version \"9.9.9\" is not in the release lock; there is 0.1.0"
    );
}

#[test]
fn an_unresolved_digest_is_listed_and_a_resolved_one_is_not() {
    let text = EMBEDDED.replacen(
        "digest = \"unresolved\"",
        &format!("digest = \"sha256:{HEX}\""),
        1,
    );
    let lock = ReleaseLock::parse(&text).unwrap();
    assert!(!lock.unresolved().contains(&"gloonet-operator"));
    assert!(lock.unresolved().contains(&"redis"));
}

#[test]
fn a_short_or_upper_case_digest_is_refused() {
    for digest in ["sha256:abc", &format!("sha256:{}", HEX.to_uppercase()), HEX] {
        let text = EMBEDDED.replacen(
            "digest = \"unresolved\"",
            &format!("digest = \"{digest}\""),
            1,
        );
        assert!(
            matches!(ReleaseLock::parse(&text), Err(LockError::Digest { .. })),
            "{digest}"
        );
    }
}

#[test]
fn a_tag_in_the_reference_is_refused() {
    let text = EMBEDDED.replace("docker.io/library/redis\"", "docker.io/library/redis:7\"");
    assert!(matches!(
        ReleaseLock::parse(&text),
        Err(LockError::Reference { .. })
    ));
}

#[test]
fn a_missing_a_doubled_and_an_unknown_image_are_each_refused_by_name() {
    let missing = EMBEDDED.replacen("name = \"redis\"", "name = \"grafana\"", 1);
    assert!(
        matches!(ReleaseLock::parse(&missing), Err(LockError::Duplicate { name, .. }) if name == "grafana")
    );
    let unknown = EMBEDDED.replacen("name = \"redis\"", "name = \"valkey\"", 1);
    assert!(
        matches!(ReleaseLock::parse(&unknown), Err(LockError::Unknown { name, .. }) if name == "valkey")
    );
    let cut = EMBEDDED.replacen(
        "[[component]]\nname = \"crds\"\nversion = \"0.1.0\"\nsupported_from = []\n",
        "",
        1,
    );
    assert!(matches!(
        ReleaseLock::parse(&cut),
        Err(LockError::Missing { name: "crds", .. })
    ));
}

#[test]
fn an_unknown_field_and_a_newer_format_are_refused() {
    let field = EMBEDDED.replacen("format = 1", "format = 1\nchannel = \"fast\"", 1);
    assert!(matches!(
        ReleaseLock::parse(&field),
        Err(LockError::Parse(_))
    ));
    let newer = EMBEDDED.replacen("format = 1", "format = 2", 1);
    assert!(matches!(
        ReleaseLock::parse(&newer),
        Err(LockError::Format { found: 2 })
    ));
}
