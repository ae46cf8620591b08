//! Cluster health on loopback: agents that answer, that are away, and what is told of them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use cilium_agent::cluster_health::paths::Target;
use cilium_agent::cluster_health::probe::probe;
use cilium_agent::cluster_health::{ClusterHealth, responder};
use cilium_agent::nodes::KnownNode;
use cilium_api::names::CLUSTER_HEALTH_PORT;
use cilium_cni::model::health::{HealthStatus, NodeStatus, Reachability};
use cilium_cni::model::metric::Metric;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::node::{Node, node};

fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 42, 40, last)
}

/// An agent that takes loopback, from where this process asks, for a node. Its port.
async fn answers(ip: Ipv4Addr, port: u16) -> u16 {
    let listener = TcpListener::bind((ip, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let nodes = watch::channel(BTreeSet::from([Ipv4Addr::LOCALHOST])).1;
    tokio::spawn(responder::serve(listener, nodes));
    port
}

#[tokio::test]
async fn a_node_whose_agent_is_away_still_answers_echo_requests() {
    let port = answers(loopback(1), 0).await;
    let target = Target {
        name: "worker-2".to_owned(),
        host: loopback(1),
        endpoint: Some(loopback(2)),
    };
    let found = probe(&target, port).await;
    let endpoint = found.endpoint.unwrap();
    let echoed = |icmp: Option<cilium_agent::cluster_health::paths::Outcome>| {
        icmp.expect("tests run as root").result.unwrap()
    };
    assert!(found.host.http.result.unwrap() > Duration::ZERO);
    assert!(echoed(found.host.icmp) > Duration::ZERO);
    let why = endpoint.http.result.unwrap_err();
    assert!(why.contains("Connection refused"), "{why}");
    assert!(echoed(endpoint.icmp) > Duration::ZERO);
    let early = Target {
        endpoint: None,
        ..target
    };
    assert_eq!(probe(&early, port).await.endpoint, None);
}

#[tokio::test]
async fn a_switched_off_probe_is_said_to_be_off_and_asking_for_one_is_refused() {
    let node = node("10.244.1.0/24").await;
    for (method, path) in [
        (Method::GET, "/gloonet/health"),
        (Method::PUT, "/gloonet/health/probe"),
    ] {
        let answer = node.ask::<Value>(method, path).await;
        assert_eq!(answer, Err(StatusCode::NOT_FOUND), "{path}");
    }
    let status: Value = node.get("/healthz").await;
    assert_eq!(status["cluster"]["ciliumHealth"]["state"], "Disabled");
    assert_eq!(status["cluster"]["self"], "west/worker-1");
}

/// A node of which everything is reached, and one whose agent does not answer on the pod network.
async fn two_nodes(node: &Node) {
    node.progress.serving(node.agent.clone());
    let health = Arc::new(ClusterHealth::new(&node.agent.own, Timestamp::now()));
    node.agent.cluster_health.set(health.clone()).unwrap();
    for last in [11, 12, 21] {
        answers(loopback(last), CLUSTER_HEALTH_PORT).await;
    }
    let known = |name: &str, ip, router| KnownNode {
        name: name.to_owned(),
        ip: loopback(ip),
        router: Some(loopback(router)),
        pod_cidrs: Vec::new(),
    };
    health.learn(&[known("worker-1", 11, 12), known("worker-2", 21, 22)]);
}

/// What the metric without `cilium_` has, of exactly these labels.
fn value(metrics: &[Metric], name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut named = metrics
        .iter()
        .filter(|metric| metric.name == format!("cilium_{name}"));
    let found = named.find(|metric| metric.labels == labels);
    found
        .unwrap_or_else(|| panic!("no {name} {labels:?}"))
        .value
}

#[tokio::test]
async fn a_probe_on_demand_asks_every_node_and_its_answer_and_the_metrics_have_what_they_said() {
    let node = node("10.244.1.0/24").await;
    two_nodes(&node).await;
    let status: Value = node.get("/healthz").await;
    assert_eq!(status["cluster"]["ciliumHealth"]["state"], "Ok");
    let before: HealthStatus = node.get("/gloonet/health").await;
    assert_eq!(before.nodes.len(), 2);
    let unknown =
        |node: &NodeStatus| node.host.primary_address.reachability() == Reachability::Unknown;
    assert!(before.nodes.iter().all(unknown), "{before:?}");

    let asked = node.ask(Method::PUT, "/gloonet/health/probe").await;
    let asked: HealthStatus = asked.unwrap();
    assert_eq!(asked, node.get::<HealthStatus>("/gloonet/health").await);
    let [local, other] = &asked.nodes[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(local.name, "west/worker-1");
    assert_eq!(local.name, asked.local.name);
    assert!(local.is_healthy(), "{local:?}");
    let [host, endpoint] = [&other.host.primary_address, other.endpoint().unwrap()];
    assert_eq!(host.reachability(), Reachability::Reachable);
    assert_eq!(endpoint.reachability(), Reachability::Unreachable);

    let metrics: Vec<Metric> = node.get("/metrics").await;
    let is = |name, labels: &[(&str, &str)], expected: f64| {
        let value = value(&metrics, name, labels);
        assert!((value - expected).abs() < 0.1, "{name} {labels:?}: {value}");
    };
    is("unreachable_nodes", &[], 0.0);
    is("unreachable_health_endpoints", &[], 1.0);
    let reached = [("type", "endpoint"), ("status", "reachable")];
    is("node_health_connectivity_status", &reached, 1.0);
    for (kind, protocol, answered) in [
        ("node", "http", 2.0),
        ("node", "icmp", 2.0),
        ("endpoint", "http", 1.0),
        ("endpoint", "icmp", 2.0),
    ] {
        let way = [
            ("type", kind),
            ("protocol", protocol),
            ("address_type", "primary"),
        ];
        is(
            "node_health_connectivity_latency_seconds_count",
            &way,
            answered,
        );
    }
}

#[tokio::test]
async fn nobody_is_due_until_nodes_are_known_and_then_soon() {
    let node = node("10.244.1.0/24").await;
    let health = Arc::new(ClusterHealth::new(&node.agent.own, Timestamp::now()));
    let waiting = tokio::spawn({
        let health = health.clone();
        async move { health.due().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    health.learn(&[KnownNode {
        name: "worker-2".to_owned(),
        ip: loopback(1),
        router: None,
        pod_cidrs: Vec::new(),
    }]);
    assert!(health.nodes().borrow().contains(&loopback(1)));
    let due = tokio::time::timeout(Duration::from_secs(6), waiting).await;
    assert_eq!(due.unwrap().unwrap()[0].name, "worker-2");
}
