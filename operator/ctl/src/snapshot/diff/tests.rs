use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::forward;

fn policy(name: &str, port: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"cluster.multicluster.solo.io": "west"}},
        "spec": {"ingress": [{"toPorts": [{"ports": [{"port": port}]}]}]},
    })
}

fn snapshot(west: &[Value], east: &[Value]) -> Value {
    let kind = "cilium.io/v2,kind=CiliumNetworkPolicy";
    json!({"west": {kind: west}, "east": {kind: east}})
}

/// Saves both, and compares the files.
fn compared(old: &Value, new: &Value, cluster: Option<&str>) -> Result<(String, bool), DiffError> {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [("old.json", old), ("new.json", new)].map(|(name, value)| {
        let path = folder.path().join(name);
        fs::write(&path, value.to_string()).unwrap();
        read(&path).unwrap()
    });
    super::compared(&old, &new, cluster)
}

#[test]
fn what_came_went_and_changed_is_told_by_cluster_down_to_the_field() {
    let old = snapshot(
        &[
            policy("web", "80"),
            policy("db", "5432"),
            policy("same", "1"),
        ],
        &[],
    );
    let mut web = policy("web", "8080");
    web["metadata"]["labels"]["cluster.multicluster.solo.io"] = json!("east");
    web["spec"]["egress"] = json!([]);
    let new = snapshot(&[policy("same", "1"), web], &[policy("web", "80")]);
    let (text, same) = compared(&old, &new, None).unwrap();
    assert!(!same);
    let expected = "\
cluster east
  + cilium.io/v2 CiliumNetworkPolicy shop/web
cluster west
  - cilium.io/v2 CiliumNetworkPolicy shop/db
  ~ cilium.io/v2 CiliumNetworkPolicy shop/web
      metadata.labels[\"cluster.multicluster.solo.io\"]: \"west\" → \"east\"
      spec.egress: nothing → []
      spec.ingress[0].toPorts[0].ports[0].port: \"80\" → \"8080\"
1 added, 1 removed, 1 changed, 1 the same
";
    assert_eq!(text, expected);
}

#[test]
fn of_lists_of_different_length_what_came_and_went_is_told_place_by_place() {
    let ports = |ports: &[&str]| {
        let mut policy = policy("web", "80");
        policy["spec"] = json!({"": ports});
        snapshot(&[policy], &[])
    };
    for (old, new, told) in [
        (
            ["80"].as_slice(),
            ["80", "443"].as_slice(),
            "nothing → \"443\"",
        ),
        (&["80", "443"], &["80"], "\"443\" → nothing"),
    ] {
        let (text, same) = compared(&ports(old), &ports(new), None).unwrap();
        assert!(!same);
        let expected = format!(
            "\
cluster west
  ~ cilium.io/v2 CiliumNetworkPolicy shop/web
      spec[\"\"][1]: {told}
0 added, 0 removed, 1 changed, 0 the same
"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn the_order_of_objects_and_keys_is_no_difference() {
    let old = snapshot(&[policy("web", "80"), policy("db", "1")], &[]);
    let new = snapshot(&[policy("db", "1"), policy("web", "80")], &[]);
    let (text, same) = compared(&old, &new, None).unwrap();
    assert!(same);
    assert_eq!(text, "0 added, 0 removed, 0 changed, 2 the same\n");
}

#[test]
fn one_cluster_is_compared_alone_and_one_nobody_has_is_an_error() {
    let old = snapshot(&[policy("web", "80")], &[]);
    let new = snapshot(&[policy("web", "80")], &[policy("web", "80")]);
    assert!(compared(&old, &new, Some("west")).unwrap().1);
    assert!(!compared(&old, &new, Some("east")).unwrap().1);
    let said = compared(&old, &new, Some("nord")).unwrap_err().to_string();
    assert_eq!(
        said,
        "cluster nord is in neither of the snapshots; they have east, west"
    );
    // One that came or went is in one of them.
    let (with, without) = (json!({"west": {}, "east": {}}), json!({"west": {}}));
    assert!(compared(&with, &without, Some("east")).unwrap().1);
    assert!(compared(&without, &with, Some("east")).unwrap().1);
}

#[test]
fn what_is_no_snapshot_is_named_with_the_cure() {
    let good = snapshot(&[], &[]);
    for bad in [
        json!([]),
        json!({"west": 3}),
        json!({"west": {"v1,kind=Pod": {}}}),
        json!({"west": {"pods": []}}),
        json!({"kind": "Status", "message": "nobody"}),
        json!({"west": {"v1,kind=Pod": [{"metadata": {"name": "a"}}, {"metadata": {"name": "a"}}]}}),
    ] {
        for (old, new, file) in [(&good, &bad, "new.json"), (&bad, &good, "old.json")] {
            let said = compared(old, new, None).unwrap_err().to_string();
            let words = format!("{file} is no snapshot: ");
            assert!(said.contains(&words), "{said}");
            assert!(said.contains("/snapshots/output"), "{said}");
        }
    }
}

#[test]
fn an_object_the_server_could_not_read_is_compared_by_its_name() {
    let unreadable = json!({"unreadable": "v1 Service shop/web"});
    let old = json!({"west": {"v1,kind=Service": [unreadable]}});
    let new = json!({"west": {"v1,kind=Service": []}});
    let (text, _) = compared(&old, &new, None).unwrap();
    assert!(text.contains("- v1 Service v1 Service shop/web"), "{text}");
}

/// As names and values that a cluster chose would come.
const HOSTILE: &str = "\u{1b}[2J\u{202e}\u{2066}west";

#[test]
fn words_of_other_clusters_do_not_move_the_cursor() {
    let kind = format!("v1,kind={HOSTILE}");
    let object = |name: &str, value: &str| json!({"metadata": {"name": name}, HOSTILE: value});
    let of = |objects: Value| json!({HOSTILE: {&kind: objects}});
    let old = of(json!([object("same", "80")]));
    let new = of(json!([object("same", HOSTILE), object(HOSTILE, "80")]));
    let (text, _) = compared(&old, &new, None).unwrap();
    let error = compared(&old, &new, Some("nord")).unwrap_err().to_string();
    for (said, times) in [(text, 6), (error, 1)] {
        let hidden = ['\u{1b}', '\u{202e}', '\u{2066}'];
        assert!(!said.contains(hidden), "{said:?}");
        assert_eq!(said.matches("[2J").count(), times, "{said}");
    }
}

#[test]
fn a_long_value_is_cut() {
    let object = |value: &str| json!({"metadata": {"name": "a"}, "data": value});
    let of = |value: &str| json!({"west": {"v1,kind=ConfigMap": [object(value)]}});
    let (text, _) = compared(&of(""), &of(&"é".repeat(5000)), None).unwrap();
    let shown = format!("data: \"\" → \"{}…\n", "é".repeat(119));
    assert!(text.contains(&shown), "{text}");
}

/// A management server that answers so for this token, and what the command makes of it.
async fn now(output: Value, token: &str) -> Result<(String, Value), DiffError> {
    let refused = (StatusCode::FORBIDDEN, "ann may not get /snapshots/output");
    let routes = Router::new().route(
        "/snapshots/output",
        get(
            async move |headers: HeaderMap| match headers.get(header::AUTHORIZATION) {
                Some(shown) if shown == "Bearer of-ann" => Json(output).into_response(),
                _ => refused.into_response(),
            },
        ),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let question = live::question(Which::Output, Some(&file))?;
    let stream = TcpStream::connect(address).await.unwrap();
    let answer = forward::get(stream, &question, "gloo-mesh-mgmt-server-a").await;
    live::document(&question, answer.map_err(DiffError::Forward)?)
}

#[tokio::test]
async fn what_the_server_holds_now_is_compared_with_what_was_saved() {
    let saved = (
        "before.json".to_owned(),
        snapshot(&[policy("web", "80")], &[]),
    );
    let held = snapshot(&[policy("web", "80"), policy("db", "1")], &[]);
    let found = now(held.clone(), "of-ann").await.unwrap();
    let (text, same) = super::compared(&saved, &found, Some("west")).unwrap();
    assert!(!same);
    let added = "  + cilium.io/v2 CiliumNetworkPolicy shop/db";
    assert!(text.contains(added), "{text}");
    let wrong = now(json!([]), "of-ann").await.unwrap();
    let said = super::compared(&saved, &wrong, None)
        .unwrap_err()
        .to_string();
    let words = "/snapshots/output of pod gloo-mesh-mgmt-server-a is no snapshot";
    assert!(said.starts_with(words), "{said}");
}

#[tokio::test]
async fn who_may_not_see_snapshots_is_told_the_servers_words() {
    let said = now(json!({}), "of-bob").await.unwrap_err().to_string();
    assert!(said.contains("ann may not get /snapshots/output"), "{said}");
    let error = now(json!({}), "two\nlines").await.unwrap_err();
    let said = crate::sentence(&error);
    assert!(said.contains("more than one line"), "{said}");
}
