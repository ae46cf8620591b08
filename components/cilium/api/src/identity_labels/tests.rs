use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

fn pod(labels: &[(&str, &str)]) -> Pod {
    serde_json::from_value(serde_json::json!({
        "metadata": {"name": "web-1", "namespace": "shop", "labels": labels.iter().copied().collect::<BTreeMap<_, _>>()},
        "spec": {"containers": [], "serviceAccountName": "seller"},
    }))
    .unwrap()
}

fn namespace() -> Namespace {
    serde_json::from_value(serde_json::json!({
        "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop", "team": "blue"}},
    }))
    .unwrap()
}

fn labels_of(pod: &Pod) -> Vec<String> {
    identity_labels(pod, &namespace(), "west").to_list()
}

const OF_THE_NAMESPACE: [&str; 5] = [
    "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop",
    "k8s:io.cilium.k8s.namespace.labels.team=blue",
    "k8s:io.cilium.k8s.policy.cluster=west",
    "k8s:io.cilium.k8s.policy.serviceaccount=seller",
    "k8s:io.kubernetes.pod.namespace=shop",
];

#[test]
fn a_pod_without_labels_has_those_of_its_namespace_account_and_cluster() {
    assert_eq!(labels_of(&pod(&[])), OF_THE_NAMESPACE);
}

#[test]
fn labels_of_the_pod_count() {
    let labels = labels_of(&pod(&[
        ("app", "web"),
        ("app.kubernetes.io/name", "shop"),
        ("tier", "front"),
    ]));
    assert_eq!(
        labels[..2],
        ["k8s:app=web", "k8s:app.kubernetes.io/name=shop"]
    );
    assert_eq!(labels.last().unwrap(), "k8s:tier=front");
}

#[test]
fn labels_that_differ_from_pod_to_pod_do_not_count() {
    let unique = [
        ("pod-template-hash", "5d8f"),
        ("controller-revision-hash", "77"),
        ("statefulset.kubernetes.io/pod-name", "web-0"),
        ("apps.kubernetes.io/pod-index", "0"),
        ("batch.kubernetes.io/job-completion-index", "3"),
        ("batch.kubernetes.io/controller-uid", "u"),
        ("controller-uid", "u"),
        ("pod-template-generation", "2"),
        ("failure-domain.beta.kubernetes.io/zone", "a"),
        ("kubernetes.io/arch", "amd64"),
        ("topology.kubernetes.io/zone", "a"),
        ("topology.kubernetes.io/region", "north"),
    ];
    assert_eq!(labels_of(&pod(&unique)), OF_THE_NAMESPACE);
}

#[test]
fn a_pod_cannot_take_another_namespace_account_or_cluster_by_its_labels() {
    let forged = pod(&[
        ("io.kubernetes.pod.namespace", "kube-system"),
        ("io.cilium.k8s.policy.serviceaccount", "admin"),
        ("io.cilium.k8s.policy.cluster", "east"),
        ("io.cilium.k8s.namespace.labels.team", "red"),
        ("reserved.host", ""),
    ]);
    assert_eq!(labels_of(&forged), OF_THE_NAMESPACE);
    assert_eq!(reserved_pod_labels(&forged).len(), 5);
    assert!(reserved_pod_labels(&pod(&[("app", "web")])).is_empty());
}

#[test]
fn the_canonical_text_and_hash_of_a_set_are_fixed_for_ever() {
    let set = LabelSet::from_iter([("k8s:b", "2"), ("k8s:a", "1")]);
    assert_eq!(set.canonical(), "k8s:a=1;k8s:b=2;");
    assert_eq!(
        set.hash(),
        "14a0fc80471b5d3e133bffc384f53d4679f53118d58fd034cacb48bad4bfc6de"
    );
}

proptest! {
    #[test]
    fn sets_are_equal_exactly_when_their_canonical_texts_are(
        a in prop::collection::btree_map("[a-c]{1,2}", "[x-y]?", 0..4),
        b in prop::collection::btree_map("[a-c]{1,2}", "[x-y]?", 0..4),
    ) {
        let (a, b): (LabelSet, LabelSet) = (a.into_iter().collect(), b.into_iter().collect());
        prop_assert_eq!(a == b, a.canonical() == b.canonical());
    }

    #[test]
    fn no_pod_label_changes_what_the_objects_say(extra in prop::collection::btree_map("[a-z./]{1,40}", "[a-z]{0,3}", 0..6)) {
        let mut pod = pod(&[]);
        pod.metadata.labels.get_or_insert_default().extend(extra);
        let set = identity_labels(&pod, &namespace(), "west");
        prop_assert_eq!(set.namespace(), Some("shop"));
        prop_assert_eq!(set.as_map()["k8s:io.cilium.k8s.policy.serviceaccount"].as_str(), "seller");
    }
}

#[test]
fn the_cni_says_namespace_cluster_and_service_account_and_nothing_that_merely_looks_so() {
    for key in [
        "io.kubernetes.pod.namespace",
        "io.cilium.k8s.policy.cluster",
        "io.cilium.k8s.policy.serviceaccount",
        "io.cilium.k8s.namespace.labels.team",
    ] {
        assert!(is_said_by_cni(key), "{key}");
    }
    for key in [
        "app",
        "io.cilium.k8s.policy.else",
        "io.cilium.k8s.namespace.labelsteam",
    ] {
        assert!(!is_said_by_cni(key), "{key}");
    }
}

/// Which labels of a pod are not the pod's to say.
type Reserved = fn(&str) -> bool;

/// Labels of pods, many of which are called like those that the CNI adds.
fn claims() -> impl Strategy<Value = BTreeMap<String, String>> {
    let begins = [
        "",
        "io.kubernetes.pod.",
        "io.cilium.k8s.policy.",
        "io.cilium.k8s.namespace.labels.",
        "reserved",
    ];
    let ends = ["namespace", "serviceaccount", "cluster", "team", "zone"];
    let key = (
        prop::sample::select(begins.to_vec()),
        prop::sample::select(ends.to_vec()),
    );
    prop::collection::btree_map(key.prop_map(|(a, b)| format!("{a}{b}")), "[a-z]{0,3}", 0..6)
}

/// What the CNI says of pods with these labels.
fn said(reserved: Reserved, claims: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut pod = pod(&[]);
    pod.metadata.labels = Some(claims);
    let all = labels_without(reserved, &pod, &namespace(), "west");
    let all = all.as_map().clone().into_iter();
    all.filter(|(key, _)| key.strip_prefix("k8s:").is_some_and(is_said_by_cni))
        .collect()
}

fn is_noticed(mistake: Reserved) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    let mut runner = TestRunner::deterministic();
    let cases = std::iter::repeat_with(|| claims().new_tree(&mut runner).unwrap().current());
    cases
        .take_while(|_| Instant::now() < end)
        .any(|claims| said(mistake, claims) != said(mistake, BTreeMap::new()))
}

proptest! {
    #[test]
    fn whatever_a_pod_claims_the_cni_says_the_same_of_it(claims in claims()) {
        prop_assert_eq!(said(is_reserved, claims), said(is_reserved, BTreeMap::new()));
    }
}

/// T30, GHSA-pfhr-pccp-hwmh: labels that a pod's owner writes are believed where the cluster's are meant.
#[test]
fn every_known_mistake_about_whose_labels_they_are_is_noticed_within_ten_seconds() {
    let mistakes: [(&str, Reserved); 3] = [
        ("none is reserved", |_| false),
        ("only the namespace is", |key| key == POD_NAMESPACE_LABEL),
        ("only names without an end of their own are", |key| {
            [
                POD_NAMESPACE_LABEL,
                CLUSTER_LABEL,
                SERVICE_ACCOUNT_LABEL,
                NAMESPACE_LABELS_PREFIX,
            ]
            .contains(&key)
        }),
    ];
    for (name, mistake) in mistakes {
        assert!(is_noticed(mistake), "{name} goes unnoticed");
    }
}
