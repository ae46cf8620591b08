use std::time::Duration;

use datapath::Fake;
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::kubernetes::Readers;

const OWN: Own<'_> = Own {
    name: "worker-1",
    ip: std::net::Ipv4Addr::new(172, 30, 0, 11),
    zone: None,
    maglev: None,
    reserved: &crate::services::NOTHING,
};

struct Node {
    watched: Watched,
    datapath: Fake,
    balancing: Balancing,
    start: Instant,
}

impl Node {
    fn new() -> Self {
        Self {
            watched: Watched::new(&Readers::default()),
            datapath: Fake::new(),
            balancing: Balancing::default(),
            start: Instant::now(),
        }
    }

    /// A Service of this name at 10.96.0.`byte`:80.
    fn publish(&self, name: &str, byte: u8) {
        let object = json!({
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"clusterIP": format!("10.96.0.{byte}"), "ports": [{"port": 80}]},
        });
        let object = serde_json::from_value(object).unwrap();
        self.watched.services.take(Ok(Event::Apply(object)));
    }

    /// What a pass so many seconds after the start wrote and removed.
    fn pass(&mut self, seconds: u64) -> (usize, usize) {
        let now = self.start + Duration::from_secs(seconds);
        let passed = self.balancing.pass(&self.watched, OWN, &self.datapath, now);
        let outcome = passed.unwrap();
        assert_eq!(outcome.failures, Vec::<String>::new());
        (outcome.written, outcome.removed)
    }

    fn balanced(&self) -> Vec<Frontend> {
        let services = self.datapath.services().unwrap();
        services
            .into_iter()
            .map(|service| service.frontend)
            .collect()
    }
}

#[test]
fn only_what_changed_is_written() {
    let mut node = Node::new();
    node.publish("a", 1);
    node.publish("b", 2);
    assert_eq!(node.pass(0), (2, 0));
    node.publish("c", 3);
    assert_eq!(node.pass(1), (1, 0));
    node.publish("c", 4);
    assert_eq!(node.pass(2), (1, 1));
    assert_eq!(node.pass(3), (0, 0));
    assert_eq!(node.balanced().len(), 3);
}

#[test]
fn what_an_earlier_agent_left_and_nobody_wants_is_removed_by_the_first_pass() {
    let mut earlier = Node::new();
    earlier.publish("a", 1);
    earlier.publish("b", 2);
    earlier.pass(0);
    let mut node = Node {
        datapath: earlier.datapath,
        ..Node::new()
    };
    node.publish("a", 1);
    assert_eq!(node.pass(0), (0, 1));
}

/// Services are looked at as they were before, and the first look of a new agent finds what the last one wrote.
#[test]
fn before_the_nodes_are_known_nothing_is_decided() {
    let watched = Watched::new(&Readers::default());
    watched.services.take(Ok(Event::InitDone));
    watched.slices.take(Ok(Event::InitDone));
    watched.pods.take(Ok(Event::InitDone));
    assert!(!knows_enough(&watched));
    watched.nodes.take(Ok(Event::InitDone));
    assert!(knows_enough(&watched));
}

#[test]
fn a_service_that_names_anothers_cluster_ip_changes_nothing_there_and_leaves_nothing_behind() {
    let mut node = Node::new();
    node.publish("dns", 10);
    node.pass(0);
    let before = node.datapath.services().unwrap();
    let mut hostile: serde_json::Value = json!({
        "metadata": {"namespace": "shop", "name": "a", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"clusterIP": "10.96.0.9", "externalIPs": ["10.96.0.10"], "ports": [{"port": 80}]},
    });
    let object = serde_json::from_value(hostile.clone()).unwrap();
    node.watched.services.take(Ok(Event::Apply(object)));
    assert_eq!(node.pass(1), (1, 0));
    // Also when it comes to name it later.
    hostile["spec"]["ports"] = json!([{"port": 80}, {"port": 81}]);
    let object = serde_json::from_value(hostile.clone()).unwrap();
    node.watched.services.take(Ok(Event::Apply(object)));
    assert_eq!(node.pass(2), (1, 0));
    let object = serde_json::from_value(hostile).unwrap();
    node.watched.services.take(Ok(Event::Delete(object)));
    assert_eq!(node.pass(3), (0, 2));
    assert_eq!(node.datapath.services().unwrap(), before);
}

#[test]
fn a_node_that_becomes_known_takes_its_ports_back_and_one_that_goes_gives_them_up() {
    let mut node = Node::new();
    let object = json!({
        "metadata": {"namespace": "shop", "name": "a"},
        "spec": {"clusterIP": "10.96.0.9", "externalIPs": ["172.30.0.12"], "ports": [{"port": 10250}, {"port": 443}]},
    });
    let object = serde_json::from_value(object).unwrap();
    node.watched.services.take(Ok(Event::Apply(object)));
    assert_eq!(node.pass(0), (6, 0));
    let other = std::net::Ipv4Addr::new(172, 30, 0, 12);
    let reserved = Reserved::of([], [other, other], [], None, Processes::new());
    let own = Own {
        reserved: &reserved,
        ..OWN
    };
    let passed = node
        .balancing
        .pass(&node.watched, own, &node.datapath, node.start);
    assert_eq!(passed.unwrap().removed, 2);
    assert_eq!(node.balanced().len(), 4);
    assert_eq!(node.pass(1), (2, 0));
}

#[test]
fn what_somebody_else_changed_is_mended_within_a_minute() {
    let mut node = Node::new();
    node.publish("a", 1);
    node.pass(0);
    let frontend = node.balanced()[0];
    node.datapath.remove_service(frontend).unwrap();
    assert_eq!(node.pass(59), (0, 0));
    assert_eq!(node.pass(60), (1, 0));
    assert_eq!(node.balanced(), [frontend]);
}

#[test]
fn a_service_that_is_refused_is_named_and_tried_again_by_the_next_pass() {
    let mut node = Node::new();
    node.publish("a", 1);
    node.publish("b", 2);
    node.datapath.refuse_services(true);
    let now = node.start;
    let passed = node.balancing.pass(&node.watched, OWN, &node.datapath, now);
    let failures = passed.unwrap().failures;
    assert_eq!(failures.len(), 2);
    assert!(failures[0].starts_with("Service shop/a: "), "{failures:?}");
    node.datapath.refuse_services(false);
    assert_eq!(node.pass(1), (2, 0));
}

#[test]
fn one_services_problem_takes_the_node_out_of_no_load_balancer() {
    let refused = Outcome {
        failures: vec!["Service shop/a: no room".to_owned()],
        ..Outcome::default()
    };
    let held = Some("port 30007 is held".to_owned());
    for (outcome, closed, filled, problem) in [
        (Outcome::default(), None, true, None),
        (Outcome::default(), held.clone(), true, held.as_deref()),
        (
            refused,
            held.clone(),
            false,
            Some("Service shop/a: no room"),
        ),
    ] {
        let judged = Judged::of(outcome, closed);
        assert!(judged.compared, "{judged:?}");
        assert_eq!(judged.filled, filled, "{judged:?}");
        assert_eq!(judged.problem.as_deref(), problem);
    }
    assert!(!Judged::failed("cannot read".to_owned()).compared);
}
