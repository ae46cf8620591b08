mod without_state;

use std::time::Duration;

use axum::{Json, Router};
use cilium_api::NumericIdentity;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::agent::tests::{Alone, alone, beside};
use crate::health::Progress;
use crate::kubernetes::OwnPod;
use crate::metrics::Metrics;
use crate::status::status;

/// Two pods of which each has an identity and a policy of its own, and what a pass did since.
async fn two_kinds_of_pods() -> Alone {
    let node = alone().await;
    for (name, app, number) in [("one", "web", 300), ("other", "db", 301)] {
        node.tell_identity(number, app);
        node.tell_pod(name, app);
        node.attach(name);
    }
    assert_eq!(pass(&node.agent), Vec::<String>::new());
    node
}

/// Both policies are in the datapath before, and stay as they are: nothing but the pod's own change tells of it.
#[tokio::test]
async fn connections_of_a_pod_that_becomes_somebody_else_are_judged_anew() {
    let node = two_kinds_of_pods().await;
    let before = node.datapath.epoch();
    node.tell_pod("one", "db");
    assert_eq!(pass(&node.agent), Vec::<String>::new());
    let endpoints = node.agent.endpoints.list();
    let now: Vec<_> = endpoints.iter().map(|endpoint| endpoint.identity).collect();
    assert_eq!(now, [NumericIdentity(301); 2]);
    assert_eq!(node.datapath.epoch(), before + 1);
}

#[tokio::test]
async fn connections_are_not_judged_anew_when_every_pod_stays_who_it_was() {
    let node = two_kinds_of_pods().await;
    let before = node.datapath.epoch();
    node.tell_pod("one", "web");
    node.tell_identity(302, "queue");
    for _ in 0..3 {
        assert_eq!(pass(&node.agent), Vec::<String>::new());
    }
    assert_eq!(node.datapath.epoch(), before);
}

/// Takes whatever is written, and passes it on.
async fn api_server() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (tell, told) = mpsc::unbounded_channel();
    let take = move |Json(object): Json<Value>| {
        let tell = tell.clone();
        async move {
            tell.send(object.clone()).unwrap();
            Json(object)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    (at, told)
}

fn own_pod() -> OwnPod {
    OwnPod {
        namespace: "kube-system".to_owned(),
        name: "cilium-x".to_owned(),
        uid: "u".to_owned(),
        node: "worker-1".to_owned(),
    }
}

/// For the pods with this label, and too large for a map of a hundred entries.
fn wide(app: &str) -> Value {
    let peers: Vec<_> = (0..200)
        .map(|n| json!({"ipBlock": {"cidr": format!("192.0.{n}.0/24")}}))
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": format!("wide-{app}"), "uid": app},
        "spec": {"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": peers}]},
    })
}

/// What is scraped about policies without room: who, and how many.
fn scraped(metrics: &Metrics) -> Vec<String> {
    let text = metrics.text().unwrap();
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix("cilium_policy_too_large{"))
        .map(ToOwned::to_owned)
        .collect()
}

const NOBODY: &str = r#"kind="",namespace="",name=""} 0.0"#;

#[tokio::test]
async fn policies_without_room_are_all_named_in_an_event_the_status_and_the_metric_until_they_fit()
{
    let (at, mut writes) = api_server().await;
    let node = beside(&at, Some(own_pod())).await;
    node.list_all();
    let agent = node.agent.clone();
    let progress = Progress::default();
    progress.serving(agent.clone());
    let metrics = Metrics::new(progress);
    for (name, app, number) in [("one", "web", 300), ("other", "db", 301)] {
        node.tell_identity(number, app);
        node.tell_pod(name, app);
        node.attach(name);
        let policy = serde_json::from_value(wide(app)).unwrap();
        (agent.watched.network_policies).take(Ok(Event::Apply(policy)));
    }
    let bell = Bell::default();
    let task = tokio::spawn(run(agent.clone(), bell.clone(), Bell::default()));
    bell.ring();
    let event = tokio::time::timeout(Duration::from_secs(20), writes.recv()).await;
    let event = event.unwrap().unwrap();
    assert_eq!(event["reason"], "PolicyTooLarge");
    let told = event["note"].as_str().unwrap();
    let begins = "Node worker-1: 2 policies have no room: NetworkPolicy shop/wide-db, NetworkPolicy shop/wide-web; ";
    assert!(told.starts_with(begins), "{told}");
    let said = status(&agent).await.policy;
    assert_eq!(said.state, "Warning");
    assert_eq!(format!("Node worker-1: {}", said.msg), told);
    let named = |name| format!(r#"kind="NetworkPolicy",namespace="shop",name="{name}"}} 1.0"#);
    assert_eq!(
        scraped(&metrics),
        [named("wide-db"), named("wide-web"), NOBODY.to_owned()]
    );
    for app in ["web", "db"] {
        let policy = serde_json::from_value(wide(app)).unwrap();
        (agent.watched.network_policies).take(Ok(Event::Delete(policy)));
    }
    bell.ring();
    let mended = async {
        while status(&agent).await.policy.state != "Ok" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mended = tokio::time::timeout(Duration::from_secs(20), mended).await;
    mended.unwrap();
    assert_eq!(scraped(&metrics), [NOBODY]);
    task.abort();
}
