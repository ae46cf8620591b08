//! What the watches make of good, bad and stale input, against a server that streams.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot be set up fails its test"
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use gloonet_cluster::{Cluster, Eyes, Source, observe};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers a list with `first` and the first watch with what is sent into the channel; later watches stay silent.
fn server(first: Vec<Value>) -> (kube::Client, mpsc::UnboundedSender<Value>) {
    let (events, receiver) = mpsc::unbounded_channel::<Value>();
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let watch = request
            .uri()
            .query()
            .unwrap_or_default()
            .contains("watch=true");
        let receiver = watch.then(|| receiver.lock().unwrap().take()).flatten();
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": first});
        async move {
            Ok::<Answer, Infallible>(if watch {
                stream(receiver)
            } else {
                whole(&list)
            })
        }
    });
    (kube::Client::new(service, "default"), events)
}

fn whole(body: &Value) -> Answer {
    Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync())
}

fn stream(receiver: Option<mpsc::UnboundedReceiver<Value>>) -> Answer {
    let lines = futures::stream::unfold(receiver, |receiver| async move {
        let Some(mut receiver) = receiver else {
            return std::future::pending().await;
        };
        let event = receiver.recv().await?;
        Some((
            Ok(Frame::data(Bytes::from(format!("{event}\n")))),
            Some(receiver),
        ))
    });
    Response::new(StreamBody::new(lines.boxed()).boxed_unsync())
}

fn node(name: &str, version: &str, addresses: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "resourceVersion": version, "labels": {"kubernetes.io/os": "linux"}}, "status": {"addresses": addresses}})
}

fn internal(ip: &str) -> Value {
    json!([{"type": "InternalIP", "address": ip}])
}

fn names(eyes: &Eyes) -> Vec<String> {
    eyes.read(|seen| observe::observed(seen, &[]).nodes)
}

async fn eventually(eyes: &Eyes, wanted: &[&str]) {
    for _ in 0..200 {
        if names(eyes) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(names(eyes), wanted);
}

#[tokio::test]
async fn an_undecodable_object_is_skipped_and_the_watch_goes_on() {
    let (client, events) = server(vec![node("a", "1", &internal("192.0.2.1"))]);
    let (eyes, _changes) = Cluster::with(client).eyes();
    eyes.follow(Source::Nodes);
    eventually(&eyes, &["a"]).await;
    let broken = node("b", "2", &json!("not a list"));
    events
        .send(json!({"type": "ADDED", "object": broken}))
        .unwrap();
    events
        .send(json!({"type": "ADDED", "object": node("c", "3", &internal("192.0.2.3"))}))
        .unwrap();
    eventually(&eyes, &["a", "c"]).await;
}

#[tokio::test]
async fn a_node_that_no_agent_runs_on_is_not_waited_for() {
    let mut elsewhere = node("b", "2", &internal("192.0.2.2"));
    elsewhere["metadata"]["labels"]["kubernetes.io/os"] = json!("windows");
    let nodes = vec![node("a", "1", &internal("192.0.2.1")), elsewhere];
    let (client, _events) = server(nodes);
    let (eyes, _changes) = Cluster::with(client).eyes();
    eyes.follow(Source::Nodes);
    eventually(&eyes, &["a"]).await;
}

#[tokio::test]
async fn a_change_that_decides_nothing_wakes_nobody() {
    let (client, events) = server(vec![node("a", "1", &internal("192.0.2.1"))]);
    let (eyes, mut changes) = Cluster::with(client).eyes();
    eyes.follow(Source::Nodes);
    assert_eq!(changes.recv().await.as_deref(), Some("Node read"));
    let mut heartbeat = node("a", "2", &internal("192.0.2.1"));
    heartbeat["status"]["conditions"] =
        json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]);
    events
        .send(json!({"type": "MODIFIED", "object": heartbeat}))
        .unwrap();
    events
        .send(json!({"type": "DELETED", "object": node("a", "3", &internal("192.0.2.1"))}))
        .unwrap();
    assert_eq!(changes.recv().await.as_deref(), Some("Node a was deleted"));
}

#[tokio::test]
async fn a_source_counts_as_unread_until_its_first_list_has_ended() {
    let (client, _events) = server(Vec::new());
    let (eyes, mut changes) = Cluster::with(client).eyes();
    eyes.follow(Source::Nodes);
    assert_eq!(eyes.read(|seen| seen.unread().count()), 1);
    assert_eq!(changes.recv().await.as_deref(), Some("Node read"));
    assert_eq!(eyes.read(|seen| seen.unread().count()), 0);
}
