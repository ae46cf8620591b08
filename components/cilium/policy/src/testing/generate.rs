//! Scenes out of choices. Few names and networks, so that they collide often.

use std::{collections::BTreeMap, net::Ipv4Addr};

use cilium_api::{LabelSet, NumericIdentity, identity_labels};
use k8s_openapi::api::core::v1::{Namespace, Pod as PodObject};
use serde_json::{Value, json};

use super::{
    choose::Choose,
    policies,
    scene::{OUTSIDE, Pod, Scene},
};
use crate::input::{NamedPorts, Node, Service, ServiceName};

/// Namespaces of every scene.
pub const NAMESPACES: [&str; 2] = ["red", "blue"];

/// A cluster with policies.
pub fn scene(choose: &mut Choose) -> Scene {
    let mut scene = cluster(choose);
    for i in 0..=choose.below(4) {
        let (id, policy) = policies::policy(choose, &format!("p{i}"));
        scene.policies.insert(id, policy);
    }
    scene
}

/// A cluster without policies.
pub fn cluster(choose: &mut Choose) -> Scene {
    let mut numbers = BTreeMap::new();
    let pods: Vec<Pod> = (0..3 + choose.below(3))
        .map(|i| pod(choose, i, &mut numbers))
        .collect();
    let address = |i: usize| pods.get(i).map(|p| p.address);
    let service = |labels: &[(&str, &str)], backends: Vec<Ipv4Addr>, has_selector| Service {
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        backends: backends.into_iter().collect(),
        has_selector,
    };
    let services = [
        (
            name("red", "web"),
            service(&[("kind", "pods")], address(0).into_iter().collect(), true),
        ),
        (
            name("blue", "outside"),
            service(
                &[("kind", "hand")],
                [Some(OUTSIDE[0]), address(1)]
                    .into_iter()
                    .flatten()
                    .collect(),
                false,
            ),
        ),
    ];
    Scene {
        nodes: nodes(),
        others: others(choose),
        services: services.into(),
        groups: groups(choose),
        policies: BTreeMap::new(),
        pods,
    }
}

fn name(namespace: &str, name: &str) -> ServiceName {
    ServiceName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// One pod; once in a while one of which nothing is known yet.
pub fn pod(choose: &mut Choose, place: u8, numbers: &mut BTreeMap<LabelSet, u32>) -> Pod {
    let address = Ipv4Addr::new(10, 0, 0, place + 1);
    let named_ports = named_ports(choose);
    if choose.once_in(12) {
        return Pod {
            identity: 5,
            labels: [("reserved:init", "")].into_iter().collect(),
            address,
            named_ports,
        };
    }
    let labels = labels(choose);
    let next = 256 + u32::try_from(numbers.len()).unwrap_or(0);
    Pod {
        identity: *numbers.entry(labels.clone()).or_insert(next),
        labels,
        address,
        named_ports,
    }
}

/// The labels of an identity, as a pod and its namespace have them. Pods also bring labels that look like their namespace's.
pub fn labels(choose: &mut Choose) -> LabelSet {
    let namespace = choose.one(&NAMESPACES);
    let mut pod_labels = BTreeMap::from([("app", choose.one(&["web", "db"]))]);
    if choose.once_in(2) {
        pod_labels.insert("tier", choose.one(&["a", "b"]));
    }
    if choose.once_in(3) {
        pod_labels.insert("team", choose.one(&["r", "b"]));
    }
    let pod: PodObject = serde_json::from_value(
        json!({"metadata": {"name": "x", "namespace": namespace, "labels": pod_labels}}),
    )
    .unwrap_or_default();
    let team = if namespace == "red" { "r" } else { "b" };
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": namespace, "labels": {
            "kubernetes.io/metadata.name": namespace, "team": team,
        }}}))
        .unwrap_or_default();
    identity_labels(&pod, &namespace, "default")
}

fn named_ports(choose: &mut Choose) -> NamedPorts {
    let mut ports = NamedPorts::new();
    if choose.once_in(2) {
        let number = choose.one(&[80, 8080]);
        ports.insert(("http".to_owned(), 6), [number].into());
    }
    if choose.once_in(3) {
        ports.insert(("http".to_owned(), 17), [80].into());
    }
    ports
}

fn nodes() -> BTreeMap<String, (u32, Node)> {
    let node = |identity: u32, last: u8, labels: &[(&str, &str)]| {
        let node = Node {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            addresses: [Ipv4Addr::new(192, 168, 0, last)].into(),
        };
        (format!("n{last}"), (identity, node))
    };
    [
        node(1, 1, &[("zone", "a"), ("app", "web")]),
        node(6, 2, &[("zone", "b"), ("app", "web")]),
        node(7, 3, &[("zone", "a")]),
    ]
    .into()
}

/// Peers that are in the cluster and neither pods nor nodes, at addresses like a pod's, a node's and the outside's.
fn others(choose: &mut Choose) -> Vec<(u32, Ipv4Addr)> {
    let mut addresses = [
        Ipv4Addr::new(10, 0, 0, 9),
        Ipv4Addr::new(192, 168, 0, 9),
        Ipv4Addr::new(203, 0, 113, 131),
    ];
    addresses.rotate_left(usize::from(choose.below(3)));
    let identities = [
        NumericIdentity::UNMANAGED,
        NumericIdentity::HEALTH,
        NumericIdentity::INGRESS,
    ];
    identities.map(|i| i.0).into_iter().zip(addresses).collect()
}

/// Groups; one of them cannot always be read.
pub fn groups(choose: &mut Choose) -> BTreeMap<String, Value> {
    let half = choose.one(&[
        "203.0.113.128/25",
        "203.0.113.5",
        "no network",
        "10.0.0.0/24",
    ]);
    [
        ("g1", "prod", json!(["203.0.113.0/24"])),
        ("g2", "test", json!([half, "198.51.100.0/24"])),
    ]
    .map(|(name, env, networks)| {
        let group = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
            "metadata": {"name": name, "labels": {"env": env}},
            "spec": {"externalCIDRs": networks},
        });
        (name.to_owned(), group)
    })
    .into()
}
