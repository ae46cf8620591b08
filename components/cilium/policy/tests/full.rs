//! T34, T37: the kernel's table of prefixes is full. Who asks for more keeps what it had, and nobody else notices.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cilium_policy::{
    Direction, Key, Options, PolicyId, Repository, Subject, SubjectId, Table, Verdict,
};
use serde_json::json;

const RED: SubjectId = SubjectId(1);
const BLUE: SubjectId = SubjectId(2);

/// A pod in each of two namespaces, and a table with room for three prefixes.
fn cluster() -> Repository {
    let mut repository = Repository::new(Options {
        max_prefixes: 3,
        ..Options::default()
    });
    for (subject, identity, namespace) in [(RED, 300, "red"), (BLUE, 301, "blue")] {
        let labels = [("k8s:io.kubernetes.pod.namespace", namespace)];
        repository.upsert_identity(identity, labels.into_iter().collect());
        repository.upsert_subject(subject, pod(identity));
    }
    repository
}

fn pod(identity: u32) -> Subject {
    Subject {
        identity,
        ..Subject::default()
    }
}

fn tell(
    repository: &mut Repository,
    (namespace, name): (&str, &str),
    section: &str,
    networks: &[&str],
) -> PolicyId {
    let policy = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"namespace": namespace, "name": name, "uid": name},
        "spec": {"endpointSelector": {}, section: [{"toCIDR": networks}]},
    });
    let policy = serde_json::from_value(policy).unwrap();
    let (id, refusals) = repository.upsert_cilium_policy(&policy);
    assert_eq!(refusals, []);
    id
}

/// What happens to a packet from the subject to somebody no entry speaks of.
fn to_anyone(repository: &Repository, subject: SubjectId) -> Verdict {
    let everyone = Key {
        identity: 0,
        direction: Direction::Egress,
        protocol: 0,
        port: 0,
        port_bits: 0,
    };
    repository.state(subject).unwrap()[&everyone].verdict
}

fn denies(repository: &Repository, subject: SubjectId) -> bool {
    let state = repository.state(subject).unwrap();
    state.values().any(|entry| entry.verdict == Verdict::Deny)
}

/// Two prefixes for red, one for blue: the table is full.
fn filled() -> (Repository, PolicyId) {
    let mut repository = cluster();
    let halves = ["192.0.2.0/25", "192.0.2.128/25"];
    tell(&mut repository, ("red", "some"), "egress", &halves);
    let of_blue = tell(
        &mut repository,
        ("blue", "kept"),
        "egress",
        &["198.51.100.0/24"],
    );
    assert!(repository.commit().refused.is_empty());
    (repository, of_blue)
}

#[test]
fn a_policy_whose_prefixes_do_not_fit_is_named_its_pods_stay_as_they_were_and_others_go_on() {
    let (mut repository, _) = filled();
    let before = repository.state(RED).unwrap().clone();
    let id = tell(
        &mut repository,
        ("red", "greedy"),
        "egressDeny",
        &["203.0.113.0/24"],
    );
    let known = ["198.51.100.0/24"];
    tell(&mut repository, ("blue", "more"), "egressDeny", &known);
    let changes = repository.commit();
    let refused = &changes.refused[&RED];
    assert_eq!(refused.table, Table::Prefixes);
    assert_eq!(refused.policy, Some(id));
    let said = refused.to_string();
    assert!(
        said.contains("CiliumNetworkPolicy red/greedy waits for room"),
        "{said}"
    );
    assert_eq!(repository.state(RED), Some(&before));
    assert_eq!(repository.prefixes().len(), 3);
    assert!(!changes.refused.contains_key(&BLUE), "{changes:?}");
    assert!(denies(&repository, BLUE));
}

#[test]
fn a_pod_that_comes_while_its_policy_waits_is_closed() {
    let (mut repository, _) = filled();
    let networks = ["203.0.113.0/24"];
    tell(&mut repository, ("red", "greedy"), "egressDeny", &networks);
    repository.commit();
    let newcomer = SubjectId(3);
    let mut subject = pod(300);
    subject
        .named_ports
        .insert(("http".to_owned(), 6), [80].into());
    repository.upsert_subject(newcomer, subject);
    assert!(repository.commit().refused.contains_key(&newcomer));
    assert_eq!(to_anyone(&repository, newcomer), Verdict::DefaultDeny);
    assert_eq!(repository.state(newcomer).unwrap().len(), 3);
}

#[test]
fn whoever_waits_is_served_when_there_is_room_again() {
    let (mut repository, of_blue) = filled();
    let networks = ["203.0.113.0/24"];
    tell(&mut repository, ("red", "greedy"), "egressDeny", &networks);
    repository.commit();
    repository.remove_policy(&of_blue);
    assert_eq!(repository.commit().prefixes_removed.len(), 1);
    let changes = repository.commit();
    assert_eq!(changes.prefixes_added.len(), 1);
    assert!(changes.refused.is_empty() && changes.subjects.contains_key(&RED));
    assert!(denies(&repository, RED));
}

#[test]
fn five_hundred_networks_of_one_policy_do_not_touch_the_rest() {
    let (mut repository, _) = filled();
    let many: Vec<String> = (0..500)
        .map(|n| format!("10.{}.{}.0/24", n / 256, n % 256))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    tell(&mut repository, ("red", "wide"), "egress", &many);
    let changes = repository.commit();
    assert!(changes.prefixes_added.len() <= 1, "{changes:?}");
    assert!(changes.refused.contains_key(&RED));
    assert!(!changes.subjects.contains_key(&BLUE));
}
