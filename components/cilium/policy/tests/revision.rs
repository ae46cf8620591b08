//! What cilium-cli waits by: it applies policies and waits for as many more.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cilium_policy::{Options, Repository};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::json;

fn named(name: &str) -> NetworkPolicy {
    serde_json::from_value(json!({
        "metadata": {"namespace": "red", "name": name}, "spec": {"podSelector": {}},
    }))
    .unwrap()
}

#[test]
fn each_policy_counts_by_itself_when_it_is_committed() {
    let mut repository = Repository::new(Options::default());
    let (first, _) = repository.upsert_network_policy(&named("first"));
    repository.upsert_network_policy(&named("second"));
    assert_eq!(repository.revision(), 0);
    repository.commit();
    assert_eq!(repository.revision(), 2);
    repository.remove_policy(&first);
    repository.remove_policy(&first);
    repository.commit();
    assert_eq!(repository.revision(), 3);
}

#[test]
fn neither_the_same_policy_again_nor_a_pod_counts() {
    let mut repository = Repository::new(Options::default());
    repository.upsert_network_policy(&named("first"));
    repository.commit();
    repository.upsert_network_policy(&named("first"));
    repository.upsert_identity(300, [("k8s:app", "new")].into_iter().collect());
    repository.commit();
    assert_eq!(repository.revision(), 1);
}
