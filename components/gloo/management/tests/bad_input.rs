//! One bad object of each kind among a thousand, and snapshots of a size that only a mistake or an attack has.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_mesh_mgmt_server::state::{Registration, State};
use gloo_relay::{key::ObjectKey, table::Changes};
use serde_json::{Value, json};

const MANY: usize = 1000;

fn west() -> ClusterName {
    "west".parse().unwrap()
}

/// Kinds, and of each a part of an object no release can read: unknown words, numbers without end, durations that are none.
fn kinds() -> [(&'static str, &'static str, Value); 7] {
    let huge = json!(1e300);
    [
        (
            "v1",
            "Namespace",
            json!({"metadata": {"labels": {"team": 7}}}),
        ),
        (
            "v1",
            "ServiceAccount",
            json!({"metadata": {"labels": ["a"]}}),
        ),
        (
            "v1",
            "Service",
            json!({"spec": {"ports": [{"port": 70000}]}}),
        ),
        (
            "apps/v1",
            "Deployment",
            json!({"spec": {"template": {"spec": {"containers": [{"ports": [{"containerPort": -1}]}]}}}}),
        ),
        (
            "admin.gloo.solo.io/v2",
            "Workspace",
            json!({"metadata": {"generation": huge}}),
        ),
        (
            "admin.gloo.solo.io/v2",
            "WorkspaceSettings",
            json!({"spec": {"options": {"serviceIsolation": {"enabled": "5 parsecs"}}}}),
        ),
        (
            "security.policy.gloo.solo.io/v2",
            "AccessPolicy",
            json!({"spec": {"applyToDestinations": [{"kind": "UNHEARD_OF"}]}}),
        ),
    ]
}

fn key(api: &str, kind: &str, number: usize) -> ObjectKey {
    let namespace = if kind == "Namespace" { "" } else { "shop" };
    ObjectKey::new(api, kind, namespace, &format!("o{number}")).unwrap()
}

fn object(key: &ObjectKey, part: &Value) -> Bytes {
    let mut object = json!({"metadata": {"name": key.name(), "namespace": key.namespace()}});
    for (name, value) in part.as_object().unwrap() {
        match (&mut object[name], value) {
            (Value::Object(into), Value::Object(from)) => into.extend(from.clone()),
            (into, value) => *into = value.clone(),
        }
    }
    Bytes::from(object.to_string())
}

fn state() -> State {
    let mut state = State::new(west(), true);
    state.register(&west(), Some(Registration::default()));
    state
}

fn observe(state: &mut State, upserts: Vec<(ObjectKey, Bytes)>) {
    changed(state, upserts, Vec::new());
}

fn changed(state: &mut State, upserts: Vec<(ObjectKey, Bytes)>, deletes: Vec<ObjectKey>) {
    state.observe(&west(), &Changes { upserts, deletes });
    state.settle();
}

#[test]
fn one_bad_object_among_a_thousand_of_its_kind_is_one_message_and_the_others_are_served() {
    for (api, kind, part) in kinds() {
        let mut state = state();
        let good = |number| {
            let key = key(api, kind, number);
            let bytes = object(&key, &json!({}));
            (key, bytes)
        };
        let mut all: Vec<_> = (0..MANY).map(good).collect();
        let bad = key(api, kind, 500);
        all[500].1 = object(&bad, &part);
        observe(&mut state, all);
        let unreadable: Vec<_> = state.unreadable.keys().collect();
        assert_eq!(unreadable, [&(west(), bad.clone())], "{kind}");
        let world = state.translator.world().namespaces.values();
        let read: usize = world
            .map(|ns| {
                usize::from(ns.labels.is_some())
                    + ns.accounts.len()
                    + ns.services.len()
                    + ns.workloads.len()
                    + ns.workspaces.len()
                    + ns.settings.len()
                    + ns.policies.len()
            })
            .sum();
        assert_eq!(read, MANY - 1, "{kind}");
        // Mended, it is read.
        observe(&mut state, vec![good(500)]);
        assert!(state.unreadable.is_empty(), "{kind}");
        // Deleted, nothing is said of it.
        observe(&mut state, vec![(bad.clone(), object(&bad, &part))]);
        assert_eq!(state.unreadable.len(), 1, "{kind}");
        changed(&mut state, Vec::new(), vec![bad]);
        assert!(state.unreadable.is_empty(), "{kind}");
    }
}

#[test]
fn a_snapshot_of_fifty_thousand_objects_is_taken_and_settled() {
    let mut state = state();
    let services = (0..50_000).map(|number| {
        let key = ObjectKey::new(
            "v1",
            "Service",
            &format!("n{}", number % 500),
            &format!("s{number}"),
        );
        let key = key.unwrap();
        let bytes = object(
            &key,
            &json!({"spec": {"selector": {"app": key.name()}, "ports": [{"port": 80}]}}),
        );
        (key, bytes)
    });
    observe(&mut state, services.collect());
    assert_eq!(state.clusters[&west()].objects.len(), 50_000);
    assert!(state.unreadable.is_empty());
}
