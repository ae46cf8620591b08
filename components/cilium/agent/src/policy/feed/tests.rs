//! CVE-2024-7598: a namespace's policies are deleted before its pods have ended. Whoever takes its end for something else than it
//! is loses them too early, and that is noticed (security test 30).

use std::time::{Duration, Instant};

use cilium_api::NumericIdentity;
use cilium_policy::{Direction, Key as PolicyKey, Options, Subject, SubjectId, Verdict};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::super::tests::pod_of_shop;
use super::*;
use crate::kubernetes::Readers;

/// What tells which namespaces end.
type EndingOf = for<'a> fn(&Watched, &'a [Endpoint]) -> Ending<'a>;

/// What is seen of the namespace while its pod ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Said,
    Over,
}

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

fn namespace(more: Value) -> Value {
    let mut metadata = json!({"name": "shop"});
    metadata
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
}

fn policy() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "only", "uid": "u"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    })
}

/// An isolated pod of a namespace.
fn watched() -> Watched {
    let watched = Watched::new(&Readers::default());
    let labels = [("k8s:io.kubernetes.pod.namespace", "shop")];
    let identity =
        cilium_api::CiliumIdentity::new(NumericIdentity(300), labels.into_iter().collect());
    let identity = read(serde_json::to_value(identity).unwrap());
    watched.identities.take(Ok(Event::Apply(identity)));
    let alive = read(namespace(json!({})));
    watched.namespaces.take(Ok(Event::Apply(alive)));
    watched
        .network_policies
        .take(Ok(Event::Apply(read(policy()))));
    watched
}

impl End {
    fn come(self, watched: &Watched) {
        let ending = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let object = namespace(ending);
        watched.namespaces.take(Ok(match self {
            Self::Said => Event::Apply(read(object)),
            Self::Over => Event::Delete(read(object)),
        }));
        watched
            .network_policies
            .take(Ok(Event::Delete(read(policy()))));
    }
}

/// Whether the pod is still isolated once its namespace's policies are deleted.
fn stays_isolated(ending: EndingOf, end: End) -> bool {
    const POD: SubjectId = SubjectId(7);
    let (watched, local) = (watched(), [pod_of_shop()]);
    let mut repository = Repository::new(Options::default());
    repository.upsert_subject(
        POD,
        Subject {
            identity: 300,
            ..Subject::default()
        },
    );
    let mut feed = Feed::default();
    feed.tell(&mut repository, &watched, &local);
    end.come(&watched);
    feed.policies(&mut repository, &watched, &ending(&watched, &local));
    repository.commit();
    let anyone = PolicyKey {
        identity: 0,
        direction: Direction::Ingress,
        protocol: 0,
        port: 0,
        port_bits: 0,
    };
    repository.state(POD).unwrap()[&anyone].verdict == Verdict::DefaultDeny
}

fn as_it_is<'a>(watched: &Watched, local: &'a [Endpoint]) -> Ending<'a> {
    Ending::new(watched, local)
}

#[test]
fn a_pod_stays_isolated_however_the_end_of_its_namespace_is_seen() {
    for end in [End::Said, End::Over] {
        assert!(stays_isolated(as_it_is, end), "{end:?}");
    }
}

fn none<'a>(_: &Watched, _: &'a [Endpoint]) -> Ending<'a> {
    Ending(BTreeSet::new())
}

fn only_who_says_so<'a>(watched: &Watched, local: &'a [Endpoint]) -> Ending<'a> {
    let says = |name: &&str| {
        let namespace = watched.namespaces.get("", name);
        namespace.is_some_and(|namespace| is_ending(&namespace))
    };
    Ending(namespaces(local).into_iter().filter(says).collect())
}

fn only_who_is_gone<'a>(watched: &Watched, local: &'a [Endpoint]) -> Ending<'a> {
    let is_gone = |name: &&str| watched.namespaces.get("", name).is_none();
    Ending(namespaces(local).into_iter().filter(is_gone).collect())
}

#[test]
fn every_known_mistake_about_a_namespaces_end_is_noticed_within_ten_seconds() {
    let mistakes: [(&str, EndingOf); 3] = [
        ("none", none),
        ("only who says so", only_who_says_so),
        ("only who is gone", only_who_is_gone),
    ];
    for (name, mistake) in mistakes {
        let begin = Instant::now();
        let noticed = [End::Said, End::Over]
            .into_iter()
            .any(|end| !stays_isolated(mistake, end));
        assert!(noticed, "{name} goes unnoticed");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}
