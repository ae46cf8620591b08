use serde_json::json;

use super::*;

fn known(name: &str, last: u8) -> KnownNode {
    KnownNode {
        name: name.to_owned(),
        ip: Ipv4Addr::new(172, 30, 0, last),
        router: Some(Ipv4Addr::new(10, 244, last, 1)),
        pod_cidrs: Vec::new(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn paths(known: &[KnownNode], now: Instant) -> Paths {
    let mut paths = Paths::new("worker-1", "west", at(0));
    paths.learn(known, now);
    paths
}

fn outcome(result: Result<u64, &str>, second: i64) -> Outcome {
    Outcome {
        at: at(second),
        result: result.map(Duration::from_micros).map_err(str::to_owned),
    }
}

fn found(http: Result<u64, &str>) -> Findings {
    let probed = Probed {
        icmp: Some(outcome(Ok(200), 7)),
        http: outcome(http, 7),
    };
    Findings {
        host: probed.clone(),
        endpoint: Some(probed),
    }
}

#[test]
fn a_new_node_is_probed_within_seconds_and_then_once_per_interval() {
    let start = Instant::now();
    let mut paths = paths(&[known("worker-1", 11), known("worker-2", 12)], start);
    let first = paths.next().unwrap();
    assert_eq!(
        paths.due(first.checked_sub(Duration::from_nanos(1)).unwrap()),
        []
    );
    assert_eq!(paths.due(first).len(), 1);
    assert_eq!(paths.due(start + Duration::from_secs(5)).len(), 2);
    let later = start + Duration::from_secs(10);
    for target in paths.all() {
        paths.record(&target, found(Ok(400)), later);
    }
    assert_eq!(paths.due(later), []);
    // 60 s times the logarithm of five, give or take a tenth.
    let next = paths.next().unwrap() - later;
    assert!(
        next > Duration::from_secs(85) && next < Duration::from_secs(107),
        "{next:?}"
    );
    assert_eq!(paths.due(later + Duration::from_secs(107)).len(), 2);
}

#[test]
fn what_failed_is_due_again_after_seconds_until_it_works() {
    let start = Instant::now();
    let mut paths = paths(&[known("worker-2", 12)], start);
    let target = paths.all().remove(0);
    let pause = |paths: &Paths| paths.next().unwrap() - start;
    paths.record(&target, found(Err("refused")), start);
    assert!(pause(&paths) < Duration::from_secs(6));
    paths.record(&target, found(Err("refused")), start);
    assert!(pause(&paths) > Duration::from_secs(8));
    paths.record(&target, found(Ok(1)), start);
    assert!(pause(&paths) > Duration::from_secs(50));
    paths.record(&target, found(Err("refused")), start);
    assert!(pause(&paths) < Duration::from_secs(6));
}

#[test]
fn a_node_that_vanished_is_forgotten_and_what_it_says_late_is_not_kept() {
    let start = Instant::now();
    let mut paths = paths(&[known("worker-1", 11), known("worker-2", 12)], start);
    let gone = paths.all().remove(1);
    paths.learn(&[known("worker-1", 11)], start);
    paths.record(&gone, found(Ok(1)), start);
    let names: Vec<_> = paths
        .report()
        .nodes
        .into_iter()
        .map(|node| node.name)
        .collect();
    assert_eq!(names, ["west/worker-1"]);
}

#[test]
fn a_node_that_moved_says_nothing_of_its_old_address_and_one_that_stayed_keeps_what_it_said() {
    let start = Instant::now();
    let mut paths = paths(&[known("worker-1", 11), known("worker-2", 12)], start);
    let before = paths.all();
    for target in &before {
        paths.record(target, found(Ok(1)), start);
    }
    paths.learn(&[known("worker-1", 11), known("worker-2", 13)], start);
    paths.record(&before[1], found(Err("late")), start);
    let nodes = paths.report().nodes;
    assert!(nodes[0].host.primary_address.http.is_some());
    let moved = &nodes[1].host.primary_address;
    assert_eq!((moved.ip.as_str(), &moved.http), ("172.30.0.13", &None));
    assert_eq!(paths.due(start + Duration::from_secs(5)).len(), 1);
}

#[test]
fn a_report_has_latencies_in_nanoseconds_and_failures_in_words() {
    let start = Instant::now();
    let mut early = known("worker-3", 13);
    early.router = None;
    let mut paths = paths(&[known("worker-2", 12), early], start);
    let target = paths.all().remove(0);
    let mut findings = found(Ok(400));
    findings.endpoint = Some(Probed {
        icmp: None,
        http: outcome(Err("connection refused"), 8),
    });
    paths.record(&target, findings, start);
    assert_eq!(
        serde_json::to_value(paths.report()).unwrap(),
        json!({
            "local": {"name": "west/worker-1"},
            "nodes": [
                {"name": "west/worker-2",
                 "host": {"primary-address": {"ip": "172.30.0.12",
                    "icmp": {"latency": 200_000, "lastProbed": "2026-01-01T00:00:07Z"},
                    "http": {"latency": 400_000, "lastProbed": "2026-01-01T00:00:07Z"}}},
                 "health-endpoint": {"primary-address": {"ip": "10.244.12.1",
                    "http": {"status": "connection refused", "lastProbed": "2026-01-01T00:00:08Z"}}}},
                {"name": "west/worker-3", "host": {"primary-address": {"ip": "172.30.0.13"}}},
            ],
            "probeInterval": "1m23s",
            "timestamp": "2026-01-01T00:00:07Z",
        })
    );
}

#[test]
fn without_nodes_nothing_is_due_and_the_report_is_empty() {
    let start = Instant::now();
    let paths = paths(&[], start);
    assert_eq!((paths.next(), paths.due(start)), (None, Vec::new()));
    assert!(paths.report().nodes.is_empty());
}

#[test]
fn the_pod_network_carries_where_the_nodes_router_answers_whatever_its_own_address_says() {
    let start = Instant::now();
    let all = [1, 2, 3, 4].map(|number| known(&format!("worker-{number}"), 10 + number));
    let mut paths = paths(&all, start);
    let targets = paths.all();
    let mut firewalled = found(Ok(1));
    firewalled.host = found(Err("refused")).host;
    firewalled.endpoint.as_mut().unwrap().icmp = None;
    paths.record(&targets[0], firewalled, start);
    for result in [Ok(1), Err("late"), Err("late")] {
        let mut answers = found(result);
        answers.host = found(Ok(1)).host;
        paths.record(&targets[1], answers, start);
    }
    paths.record(&targets[2], found(Err("late")), start);
    let carried = paths.carried();
    assert_eq!((carried.known, carried.reached), (4, 1));
    let way = |failures, worked| Way { failures, worked };
    let unreached = [way(2, true), way(1, false), way(0, false)];
    let unreached = ["worker-2", "worker-3", "worker-4"]
        .into_iter()
        .zip(unreached);
    let unreached = unreached.map(|(name, way)| (name.to_owned(), way));
    assert_eq!(carried.unreached, unreached.collect());
    assert_eq!(carried.service, None);
}

#[test]
fn however_many_nodes_are_not_reached_a_few_are_named_and_all_are_counted() {
    let all: Vec<KnownNode> = (0..200)
        .map(|number| known(&format!("worker-{number:03}"), number))
        .collect();
    let carried = paths(&all, Instant::now()).carried();
    assert_eq!((carried.known, carried.reached), (200, 0));
    assert_eq!(carried.unreached.len(), 16);
}

#[test]
fn failures_of_the_service_are_counted_in_a_row_and_forgotten_with_it() {
    let mut paths = paths(&[], Instant::now());
    let seen = [
        Some(false),
        Some(true),
        Some(false),
        Some(false),
        None,
        Some(false),
    ]
    .map(|answered| {
        paths
            .record_service(answered)
            .map(|way| (way.failures, way.worked))
    });
    let expected = [
        Some((1, false)),
        Some((0, true)),
        Some((1, true)),
        Some((2, true)),
        None,
        Some((1, false)),
    ];
    assert_eq!(seen, expected);
    let service = paths.carried().service.unwrap();
    assert_eq!((service.failures, service.worked), (1, false));
}
