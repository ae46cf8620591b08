//! What people ask of the agent over its socket, with the datapath in memory.

use std::time::Duration;

use cilium_cni::client::{Answer, Client, Lines};
use cilium_cni::model::bpf::{CtRecord, Flushed, LbService, PolicyEntry, PolicyOfEndpoint};
use cilium_cni::model::event::{Kind, Line};
use cilium_cni::model::metric::Metric;
use cilium_cni::model::policy::Policy;
use datapath::{
    Backend, Datapath as _, Direction, Endpoint, Event, EventKind, Flow, FlowEnd, Frontend,
    IpEntry, PolicyKey, Protocol, Scope, Service, Verdict, WhenEmpty,
};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::{Node, node};

const LIMIT: Duration = Duration::from_secs(5);

impl Node {
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, StatusCode> {
        let mut client = Client::connect(&self.socket, LIMIT).await.unwrap();
        let answer = client
            .call::<Option<T>>(method, path, None::<&()>, LIMIT)
            .await;
        match answer.unwrap() {
            Answer::Done(value) => Ok(value.unwrap()),
            Answer::Refused { status, .. } => Err(status),
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.ask(Method::GET, path).await.unwrap()
    }

    async fn lines(&self, path: &str) -> Lines {
        let client = Client::connect(&self.socket, LIMIT).await.unwrap();
        match client.lines(path, LIMIT).await.unwrap() {
            Answer::Done(lines) => lines,
            Answer::Refused { status, message } => panic!("{status}: {message}"),
        }
    }
}

async fn next<T: DeserializeOwned>(lines: &mut Lines) -> Option<T> {
    let line = tokio::time::timeout(LIMIT, lines.next()).await.unwrap();
    line.unwrap()
        .map(|line| serde_json::from_slice(&line).unwrap())
}

fn endpoint(id: u16, policy: u32) -> Endpoint {
    Endpoint {
        id,
        ip: format!("10.244.1.{id}").parse().unwrap(),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        host_mac: "02:00:00:00:00:02".parse().unwrap(),
        ifindex: 7,
        identity: 300,
        policy,
    }
}

fn service(ip: &str, scope: Scope) -> Service {
    Service {
        frontend: Frontend {
            ip: ip.parse().unwrap(),
            port: 80,
            protocol: Protocol::Tcp,
            scope,
        },
        backends: vec![Backend {
            ip: "10.244.1.5".parse().unwrap(),
            port: 8080,
        }],
        affinity_seconds: None,
        when_empty: WhenEmpty::Refuse,
        exclusive: false,
        source_ranges: Vec::new(),
        maglev: None,
    }
}

fn flow(port: u16) -> Flow {
    let end = |ip: &str, port| FlowEnd {
        ip: ip.parse().unwrap(),
        port,
        identity: 300,
        packets: 4,
        bytes: 400,
        tcp_flags: 0x1b,
    };
    Flow {
        protocol: 6,
        originator: end("10.244.1.5", port),
        responder: end("10.244.2.6", 80),
        icmp_type: None,
        expires_in: Duration::from_secs(53),
        epoch: 1,
        seen_reply: true,
        closing: false,
    }
}

fn drop_of(endpoint: u16) -> Event {
    Event {
        kind: EventKind::Drop { reason: 133 },
        time: Duration::from_secs(1),
        direction: Direction::Ingress,
        endpoint,
        source_identity: 300,
        destination_identity: 301,
        cookie: 0,
        match_type: 0,
        is_reply: false,
        is_new: true,
        ifindex: 7,
        length: 60,
        packet: vec![1, 2],
    }
}

#[tokio::test]
async fn identities_addresses_and_nodes_are_answered_in_order() {
    let node = node("10.244.1.0/24").await;
    for prefix in ["172.30.0.11/32", "10.244.2.0/24"] {
        let entry = IpEntry {
            identity: 2,
            tunnel: None,
        };
        node.datapath
            .upsert_ip(prefix.parse().unwrap(), entry)
            .unwrap();
    }
    let identities: Vec<Value> = node.get("/identity").await;
    assert_eq!(identities[0]["labels"][0], "reserved:host");
    let world: Value = node.get("/identity/2").await;
    assert_eq!(world["labels"][0], "reserved:world");
    let unknown = node.ask::<Value>(Method::GET, "/identity/4711").await;
    assert_eq!(unknown, Err(StatusCode::NOT_FOUND));
    let ips: Vec<Value> = node.get("/ip").await;
    assert_eq!(ips[0]["cidr"], "10.244.2.0/24");
    assert_eq!(ips.len(), 2);
    let map: Vec<Value> = node.get("/gloonet/bpf/ipcache").await;
    assert_eq!(map[1]["prefix"], "172.30.0.11/32");
    let nodes: Value = node.get("/cluster/nodes").await;
    assert_eq!(nodes["nodes-added"], Value::Array(Vec::new()));
    let version: Value = node.get("/debuginfo").await;
    assert!(
        version["cilium-version"]
            .as_str()
            .unwrap()
            .starts_with(env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn the_policy_of_an_endpoint_is_the_one_the_datapath_has() {
    let node = node("10.244.1.0/24").await;
    let key = PolicyKey {
        identity: 300,
        direction: Direction::Egress,
        protocol: 6,
        port: 80,
        port_bits: 16,
    };
    let entry = datapath::PolicyEntry {
        verdict: Verdict::Deny,
        cookie: 9,
    };
    node.datapath
        .set_policy(41, &[(key, entry)].into())
        .unwrap();
    node.datapath.upsert_endpoint(&endpoint(12, 41)).unwrap();
    node.datapath.upsert_endpoint(&endpoint(9, 0)).unwrap();
    let known: Vec<PolicyOfEndpoint> = node.get("/gloonet/bpf/policy").await;
    assert_eq!((known[0].endpoint, known[0].policy), (9, 0));
    let entries: Vec<PolicyEntry> = node.get("/gloonet/bpf/policy/12").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].verdict.as_str(), entries[0].key.prefixlen),
        ("deny", 64)
    );
    let without: Vec<PolicyEntry> = node.get("/gloonet/bpf/policy/9").await;
    assert!(without.is_empty());
    let gone = node
        .ask::<Vec<PolicyEntry>>(Method::GET, "/gloonet/bpf/policy/77")
        .await;
    assert_eq!(gone, Err(StatusCode::NOT_FOUND));
    let policy: Policy = node.get("/policy").await;
    assert_eq!(policy.policy, "[]");
}

#[tokio::test]
async fn services_are_those_the_datapath_has_each_under_its_number() {
    let node = node("10.244.1.0/24").await;
    for scope in [Scope::Outside, Scope::Inside] {
        let service = service("203.0.113.7", scope);
        node.datapath.upsert_service(&service).unwrap();
    }
    let inside = service("10.96.0.7", Scope::Inside);
    node.datapath.upsert_service(&inside).unwrap();
    let maps: Vec<LbService> = node.get("/gloonet/bpf/lb").await;
    let shown: Vec<(String, bool)> = maps
        .iter()
        .map(|one| {
            let at = &one.frontend;
            (format!("{} {:?}", at.ip, at.scope), one.inside_only)
        })
        .collect();
    let expected = [
        ("10.96.0.7 External", true),
        ("203.0.113.7 Internal", true),
        ("203.0.113.7 External", false),
    ];
    assert_eq!(shown, expected.map(|(at, inside)| (at.to_owned(), inside)));
    let services: Vec<Value> = node.get("/service").await;
    let numbers: Vec<&Value> = services
        .iter()
        .map(|service| &service["status"]["realized"]["id"])
        .collect();
    assert_eq!(
        numbers,
        maps.iter().map(|one| one.generation).collect::<Vec<_>>()
    );
    let path = format!("/service/{}", maps[1].generation);
    assert_eq!(node.get::<Value>(&path).await, services[1]);
    let changed = Service {
        affinity_seconds: Some(60),
        ..service("203.0.113.7", Scope::Inside)
    };
    node.datapath.upsert_service(&changed).unwrap();
    let gone = node.ask::<Value>(Method::GET, &path).await;
    assert_eq!(gone, Err(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn connections_come_in_order_however_many_they_are_and_can_be_forgotten() {
    let node = node("10.244.1.0/24").await;
    for port in (1000..4000).rev() {
        node.datapath.fake.push_flow(flow(port));
    }
    let mut lines = node.lines("/gloonet/bpf/ct").await;
    let mut ports = Vec::new();
    while let Some(record) = next::<CtRecord>(&mut lines).await {
        assert_eq!(
            (record.value.lifetime, record.key.direction.as_str()),
            (53, "IN")
        );
        ports.push(record.key.source_port);
    }
    assert_eq!(ports, (1000..4000).collect::<Vec<u16>>());
    let flushed: Flushed = node.ask(Method::DELETE, "/gloonet/bpf/ct").await.unwrap();
    assert_eq!(flushed.deleted, 3000);
    assert_eq!(
        next::<CtRecord>(&mut node.lines("/gloonet/bpf/ct").await).await,
        None
    );
}

#[tokio::test]
async fn a_monitor_sees_what_comes_after_it_began_and_every_monitor_sees_all() {
    let node = node("10.244.1.0/24").await;
    node.agent.events.publish(drop_of(1));
    let (mut one, mut other) = (
        node.lines("/gloonet/monitor").await,
        node.lines("/gloonet/monitor").await,
    );
    node.agent.events.publish(drop_of(2));
    for lines in [&mut one, &mut other] {
        let Some(Line::Event(event)) = next::<Line>(lines).await else {
            panic!("no event");
        };
        assert_eq!((event.kind, event.endpoint), (Kind::Drop, 2));
        assert_eq!(
            (event.text.as_str(), event.packet.as_str()),
            ("Policy denied", "0102")
        );
    }
}

#[tokio::test]
async fn a_monitor_that_does_not_read_holds_nobody_up_and_is_told_what_it_lost() {
    let node = node("10.244.1.0/24").await;
    let mut lines = node.lines("/gloonet/monitor").await;
    // Far more than the socket's buffers and the queue take together.
    let number: u64 = 200_000;
    for _ in 0..number {
        node.agent.events.publish(drop_of(1));
    }
    node.agent.events.publish(drop_of(2));
    let (mut seen, mut lost) = (0, 0);
    loop {
        match next::<Line>(&mut lines).await.unwrap() {
            Line::Lost { lost: more } => lost += more,
            Line::Event(event) if event.endpoint == 2 => break,
            Line::Event(_) => seen += 1,
        }
    }
    assert!(lost > 0);
    assert_eq!(seen + lost, number);
}

#[tokio::test]
async fn metrics_are_listed_without_buckets() {
    let node = node("10.244.1.0/24").await;
    let _: Value = node.get("/debuginfo").await;
    let metrics: Vec<Metric> = node.get("/metrics").await;
    let has = |name: &str| metrics.iter().any(|metric| metric.name == name);
    assert!(has("cilium_process_resident_memory_bytes"));
    assert!(has("cilium_agent_api_process_time_seconds_count"));
    assert!(!has("cilium_agent_api_process_time_seconds_bucket"));
}

#[tokio::test]
async fn an_endpoint_is_found_by_the_name_of_its_pod() {
    let node = node("10.244.1.0/24").await;
    for path in [
        "/endpoint/cep-name:shop%2Fweb",
        "/endpoint/pod-name:shop:web",
    ] {
        let missing = node.ask::<Value>(Method::GET, path).await;
        assert_eq!(missing, Err(StatusCode::NOT_FOUND), "{path}");
    }
}
