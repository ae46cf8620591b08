use gloo_relay::table::Changes;
use gloo_translate::{
    Slot,
    dry_run::{Pair, Side},
};

use super::*;
use crate::{
    flows::Flows,
    state::{Connection, Registration, Said},
};

pub(crate) fn name(text: &str) -> ClusterName {
    text.parse().unwrap()
}

pub(crate) fn registered() -> Registration {
    Registration {
        enrolled: true,
        ..Registration::default()
    }
}

pub(crate) fn object(
    kind: &str,
    api: &str,
    namespace: &str,
    name: &str,
    rest: Value,
) -> (ObjectKey, Bytes) {
    let mut object = json!({"metadata": {"name": name, "namespace": namespace}});
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    let namespace = if kind == "Namespace" { "" } else { namespace };
    let key = ObjectKey::new(api, kind, namespace, name).unwrap();
    (key, Bytes::from(object.to_string()))
}

fn upserts(upserts: Vec<(ObjectKey, Bytes)>) -> Changes {
    Changes {
        upserts,
        deletes: Vec::new(),
    }
}

/// A workspace over `shop` with isolation, and so many services.
pub(crate) fn shop(services: usize) -> Changes {
    let settings = json!({"spec": {"options": {"serviceIsolation": {"enabled": true}}}});
    let workspace =
        json!({"spec": {"workloadClusters": [{"name": "*", "namespaces": [{"name": "shop"}]}]}});
    let mut all = vec![
        object("Namespace", "v1", "shop", "shop", json!({})),
        object("ServiceAccount", "v1", "shop", "web", json!({})),
        object(
            "Workspace",
            "admin.gloo.solo.io/v2",
            "gloo-mesh",
            "shop",
            workspace,
        ),
        object(
            "WorkspaceSettings",
            "admin.gloo.solo.io/v2",
            "shop",
            "shop",
            settings,
        ),
    ];
    for number in 0..services {
        let spec =
            json!({"spec": {"selector": {"app": number.to_string()}, "ports": [{"port": 80}]}});
        all.push(object("Service", "v1", "shop", &format!("s{number}"), spec));
    }
    upserts(all)
}

fn state(safe_mode: bool) -> State {
    let mut state = State::new(name("west"), safe_mode);
    state.register(&name("west"), Some(registered()));
    state
}

fn count(state: &State, cluster: &str) -> usize {
    let desired = state.clusters[&name(cluster)].desired.as_ref();
    desired.map_or(0, |desired| policies(desired).len())
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

#[test]
fn a_snapshot_becomes_policies_and_statuses() {
    let mut state = state(true);
    state.observe(&name("west"), &shop(3));
    state.settle();
    assert!(decide(&mut state, &name("west"), now()));
    assert_eq!(count(&state, "west"), 3);
    let desired = state.clusters[&name("west")].desired.as_ref().unwrap();
    let statuses = desired
        .keys()
        .filter(|key| key.kind() == "Workspace")
        .count();
    assert_eq!(statuses, 1);
    assert!(!decide(&mut state, &name("west"), now()), "nothing is new");
}

#[test]
fn in_safe_mode_nothing_is_pushed_before_every_cluster_was_heard() {
    let mut state = state(true);
    state.register(&name("east"), Some(registered()));
    state.observe(&name("west"), &shop(3));
    state.settle();
    assert!(!decide(&mut state, &name("west"), now()));
    assert!(state.cold().unwrap().contains("east"));
    state.register(
        &name("east"),
        Some(Registration {
            enrolled: true,
            skip_warming: true,
            ..Registration::default()
        }),
    );
    assert!(decide(&mut state, &name("west"), now()));
    assert!(
        !decide(&mut state, &name("east"), now()),
        "nobody knows east"
    );
}

#[test]
fn a_cluster_that_enrols_after_the_start_holds_nobody_up() {
    let mut state = state(true);
    state.observe(&name("west"), &shop(3));
    state.settle();
    decide(&mut state, &name("west"), now());
    state.register(&name("north"), Some(registered()));
    state.observe(&name("west"), &shop(4));
    state.settle();
    assert_eq!(state.cold(), None);
    assert!(decide(&mut state, &name("west"), now()));
    assert!(
        !decide(&mut state, &name("north"), now()),
        "nobody knows north"
    );
}

#[test]
fn without_the_management_clusters_word_nothing_is_pushed_even_out_of_safe_mode() {
    let mut state = state(false);
    state.register(&name("east"), Some(registered()));
    state.observe(&name("east"), &shop(3));
    state.settle();
    assert!(!decide(&mut state, &name("east"), now()));
}

#[test]
fn a_mass_removal_is_held_until_exactly_it_is_confirmed() {
    let mut state = state(true);
    let west = name("west");
    state.observe(&west, &shop(20));
    state.settle();
    decide(&mut state, &west, now());
    let later = now() + SignedDuration::from_hours(1);
    let settings = object(
        "WorkspaceSettings",
        "admin.gloo.solo.io/v2",
        "shop",
        "shop",
        json!({"spec": {}}),
    );
    state.observe(&west, &upserts(vec![settings]));
    state.settle();
    decide(&mut state, &west, later);
    assert_eq!(count(&state, "west"), 20);
    let held = state.clusters[&west].held.clone().unwrap();
    assert_eq!(held.removed, 20);
    let confirmed = Registration {
        confirmed: Some(held.digest.to_string()),
        ..registered()
    };
    state.register(&west, Some(confirmed));
    decide(&mut state, &west, later);
    assert_eq!(count(&state, "west"), 0);
    assert_eq!(state.clusters[&west].held, None);
}

#[test]
fn after_a_restart_policies_the_cluster_still_has_count_as_pushed() {
    let mut before = state(true);
    let west = name("west");
    before.observe(&west, &shop(20));
    before.settle();
    decide(&mut before, &west, now());
    let applied = policies(before.clusters[&west].desired.as_ref().unwrap());
    let mut after = state(true);
    after.observe(&west, &upserts(applied.into_iter().collect()));
    after.settle();
    decide(&mut after, &west, now());
    assert_eq!(
        count(&after, "west"),
        20,
        "no workspace is no reason to remove all"
    );
    assert!(after.clusters[&west].held.is_some());
}

#[test]
fn what_a_dashboard_has_that_is_not_supported_is_said_in_its_own_cluster() {
    let mut state = state(true);
    let west = name("west");
    let mut all = shop(1);
    let oidc = json!({
        "appUrl": "a", "clientId": "b", "clientSecretName": "c", "issuerUrl": "d",
        "jwksCacheRefreshPolicy": {"never": {}},
    });
    let spec = json!({"metadata": {"generation": 4}, "spec": {"authn": {"oidc": oidc}}});
    let admin = "admin.gloo.solo.io/v2";
    let (key, dashboard) = object("Dashboard", admin, "gloo-mesh", "settings", spec);
    all.upserts.push((key.clone(), dashboard));
    state.observe(&west, &all);
    state.settle();
    assert!(decide(&mut state, &west, now()));
    let desired = state.clusters[&west].desired.as_ref().unwrap();
    let status: Value = serde_json::from_slice(&desired[&key]).unwrap();
    let state = &status["status"]["common"]["State"];
    assert_eq!(
        (&state["approval"], &state["observedGeneration"]),
        (&json!("WARNING"), &json!(4))
    );
    let message = state["message"].as_str().unwrap();
    assert!(
        message.ends_with("not supported: spec.authn.oidc.jwksCacheRefreshPolicy"),
        "{message}"
    );
}

#[test]
fn a_dashboard_that_cannot_be_read_says_so() {
    let mut state = state(true);
    let west = name("west");
    let mut all = shop(1);
    let admin = "admin.gloo.solo.io/v2";
    let wrong = json!({"spec": {"authn": {"oidc": "yes"}}});
    let (key, dashboard) = object("Dashboard", admin, "gloo-mesh", "settings", wrong);
    all.upserts.push((key.clone(), dashboard));
    state.observe(&west, &all);
    state.settle();
    assert!(decide(&mut state, &west, now()));
    let desired = state.clusters[&west].desired.as_ref().unwrap();
    let status: Value = serde_json::from_slice(&desired[&key]).unwrap();
    assert_eq!(status["status"]["common"]["State"]["approval"], "INVALID");
}

#[test]
fn what_another_replica_may_know_more_of_removes_nothing_before_it_was_seen_in_redis() {
    let mut state = state(true);
    let (west, east) = (name("west"), name("east"));
    state.register(&east, Some(registered()));
    state.observe(&east, &shop(0));
    state.observe(&west, &shop(3));
    state.settle();
    let connection = Connection {
        stream: 1,
        epoch: 0,
        cluster_uid: String::new(),
        warmed: true,
        since: now(),
    };
    state.clusters.get_mut(&west).unwrap().connection = Some(connection);
    decide(&mut state, &west, now());
    assert_eq!(
        (count(&state, "west"), &state.clusters[&west].waits),
        (3, &None)
    );
    let gone = shop(3).upserts.pop().unwrap().0;
    state.observe(
        &west,
        &Changes {
            upserts: Vec::new(),
            deletes: vec![gone],
        },
    );
    state.settle();
    for (agreed, at, left) in [
        (None, 60, 3),
        (Some(10), 12, 3),
        (Some(50), 60, 3),
        (Some(58), 60, 2),
    ] {
        let at = now() + SignedDuration::from_secs(at);
        let agreed = agreed.map(|agreed| now() + SignedDuration::from_secs(agreed));
        for cluster in state.clusters.values_mut() {
            cluster.agreed = agreed;
        }
        decide(&mut state, &west, at);
        assert_eq!(count(&state, "west"), left, "{agreed:?}");
        let waits = state.clusters[&west].waits.as_ref();
        assert_eq!(waits.is_some_and(|why| why.contains("east")), left == 3);
    }
}

#[test]
fn what_an_agent_could_not_apply_is_said_of_the_resource_it_comes_from() {
    let mut state = state(true);
    let west = name("west");
    state.observe(&west, &shop(3));
    state.settle();
    decide(&mut state, &west, now());
    let status = |state: &State| -> Value {
        let key = ObjectKey::new("admin.gloo.solo.io/v2", "WorkspaceSettings", "shop", "shop");
        let desired = state.clusters[&west].desired.as_ref().unwrap();
        let status: Value = serde_json::from_slice(&desired[&key.unwrap()]).unwrap();
        status["status"]["common"]["State"].clone()
    };
    assert_eq!(status(&state)["approval"], "ACCEPTED");
    let failed = policies(state.clusters[&west].desired.as_ref().unwrap());
    let (failed, _) = failed.into_iter().next().unwrap();
    for (applied, approval) in [(false, "FAILED"), (true, "WARNING")] {
        let message = "the API server says no".to_owned();
        let said = Said { message, applied };
        state.clusters.get_mut(&west).unwrap().said = [(failed.clone(), said)].into();
        decide(&mut state, &west, now());
        assert_eq!(status(&state)["approval"], approval);
        let message = status(&state)["message"].to_string();
        assert!(
            message.contains("west shop/") && message.contains("says no"),
            "{message}"
        );
    }
}

#[test]
fn a_dry_run_of_the_global_settings_lists_what_it_would_deny_in_every_workspace() {
    let mut state = state(true);
    let west = name("west");
    let isolation = json!({"enabled": true, "dryRun": true});
    let settings = json!({"spec": {"options": {"serviceIsolation": isolation}}});
    let gloo = "admin.gloo.solo.io/v2";
    let global = object("WorkspaceSettings", gloo, "gloo-mesh", "global", settings);
    let mut all = vec![global.clone()];
    let mut pairs = Vec::new();
    for place in ["bank", "shop"] {
        let workspace =
            json!({"spec": {"workloadClusters": [{"name": "*", "namespaces": [{"name": place}]}]}});
        let service = json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
        let labels = json!({"metadata": {"labels": {"app": "web"}}});
        let web = json!({"spec": {"template": labels}});
        all.push(object("Namespace", "v1", place, place, json!({})));
        all.push(object("Workspace", gloo, "gloo-mesh", place, workspace));
        all.push(object("Service", "v1", place, "web", service));
        all.push(object("Deployment", "apps/v1", place, "web", web));
        let side = |namespace: &str| Side {
            slot: Slot {
                cluster: west.clone(),
                namespace: namespace.to_owned(),
            },
            workload: "web".to_owned(),
        };
        pairs.push(Pair {
            source: side("elsewhere"),
            destination: side(place),
            flows: 7.0,
        });
    }
    state.flows = Flows::Pairs(pairs);
    state.observe(&west, &upserts(all));
    state.settle();
    decide(&mut state, &west, now());
    let desired = state.clusters[&west].desired.as_ref().unwrap();
    let status: Value = serde_json::from_slice(&desired[&global.0]).unwrap();
    let list = status["status"]["wouldDeny"].to_string();
    for place in ["west/bank/web", "west/shop/web"] {
        assert!(list.contains(place), "{list}");
    }
}

#[test]
fn an_object_that_cannot_be_read_leaves_the_last_one_in_force_and_says_so() {
    let mut state = state(true);
    let west = name("west");
    state.observe(&west, &shop(3));
    let key = ObjectKey::new("admin.gloo.solo.io/v2", "WorkspaceSettings", "shop", "shop").unwrap();
    let bytes = Bytes::from_static(br#"{"metadata": {}, "spec": {"options": 7}}"#);
    state.observe(&west, &upserts(vec![(key.clone(), bytes)]));
    state.settle();
    decide(&mut state, &west, now());
    assert_eq!(count(&state, "west"), 3);
    let desired = state.clusters[&west].desired.as_ref().unwrap();
    let status = String::from_utf8(desired[&key].to_vec()).unwrap();
    assert!(
        status.contains("INVALID") && status.contains("cannot be read"),
        "{status}"
    );
}
