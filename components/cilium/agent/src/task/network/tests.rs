use datapath::Fake;

use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::agent::tests::{Alone, alone};
use crate::status::status;

/// A pod of the other node has this identity now.
fn tell_pod(node: &Alone, address: &str, identity: u32) {
    let object = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint",
        "metadata": {"namespace": "shop", "name": address},
        "status": {
            "identity": {"id": identity},
            "networking": {"node": "172.30.0.12", "addressing": [{"ipv4": address}]},
        },
    });
    let object = serde_json::from_value(object).unwrap();
    node.agent.watched.endpoints.take(Ok(Event::Apply(object)));
}

fn other_node() -> cilium_api::CiliumNode {
    nodes::tests::node("worker-2", 2, "172.30.0.12", "10.244.2.0/24")
}

/// The other node, whose pod has this identity now.
fn tell_peer(node: &Alone, identity: u32) -> Vec<KnownNode> {
    tell_pod(node, "10.244.2.9", identity);
    nodes::accept([&other_node()], &[]).0
}

fn identity_of(node: &Alone, address: &str) -> Option<u32> {
    let ips: BTreeMap<_, _> = node.datapath.ips().unwrap().into_iter().collect();
    let entry = ips.get(&address.parse().unwrap())?;
    Some(entry.identity)
}

#[tokio::test]
async fn connections_are_judged_anew_when_an_address_means_somebody_else_and_only_then() {
    let node = alone().await;
    // Identities count once they are listed.
    node.agent.watched.identities.take(Ok(Event::InitDone));
    let told = |identity| {
        let known = tell_peer(&node, identity);
        assert_eq!(pass(&node.agent, &known, true), Vec::<String>::new());
        assert_eq!(identity_of(&node, "10.244.2.9/32"), Some(identity));
        node.datapath.epoch()
    };
    let before = told(300);
    assert_eq!(told(300), before);
    assert_eq!(told(301), before + 1);
    assert_eq!(told(301), before + 1);
}

#[tokio::test]
async fn connections_are_judged_anew_when_an_address_means_nobody_any_more() {
    let node = alone().await;
    node.agent.watched.identities.take(Ok(Event::InitDone));
    let known = tell_peer(&node, 300);
    pass(&node.agent, &known, true);
    let before = node.datapath.epoch();
    node.agent.watched.endpoints.take(Ok(Event::InitDone));
    assert_eq!(pass(&node.agent, &known, false), Vec::<String>::new());
    assert_eq!(node.datapath.epoch(), before, "nothing may be removed yet");
    assert_eq!(pass(&node.agent, &known, true), Vec::<String>::new());
    assert_eq!(node.datapath.epoch(), before + 1);
}

#[test]
fn a_node_that_goes_is_counted_also_when_another_one_takes_its_range() {
    let datapath = Fake::new();
    let node = |last: u8| Node {
        ip: Ipv4Addr::new(172, 30, 0, last),
        pod_cidrs: vec!["10.244.2.0/24".parse().unwrap()],
    };
    let desired = |node: Node| BTreeMap::from([(node.ip, node)]);
    let follow = |node: Node| follow_nodes(&datapath, &desired(node), true).unwrap();
    assert_eq!((follow(node(12)).written, follow(node(12)).removed), (1, 0));
    let outcome = follow(node(13));
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert_eq!((outcome.written, outcome.removed), (1, 1));
}

async fn until(done: impl Fn() -> bool) {
    let reached = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_map_of_addresses_is_named_keeps_what_it_has_and_takes_the_rest_when_there_is_room()
{
    let node = alone().await;
    node.list_all();
    let object = serde_json::from_value(serde_json::to_value(other_node()).unwrap()).unwrap();
    node.agent.watched.nodes.take(Ok(Event::Apply(object)));
    tell_pod(&node, "10.244.2.9", 300);
    let bell = Bell::default();
    let task = tokio::spawn(run(node.agent.clone(), bell.clone()));
    bell.ring();
    let is = |address, identity| identity_of(&node, address) == identity;
    until(|| is("10.244.2.9/32", Some(300))).await;
    let before = node.datapath.ips().unwrap().len();
    node.datapath.refuse_ips(true);
    // The first of them is new; the other one, which comes after it in order, has its place.
    tell_pod(&node, "10.244.2.8", 301);
    tell_pod(&node, "10.244.2.9", 302);
    bell.ring();
    until(|| is("10.244.2.9/32", Some(302)) && !node.agent.problems().is_empty()).await;
    assert!(is("10.244.2.8/32", None));
    assert_eq!(node.datapath.ips().unwrap().len(), before);
    let said = status(&node.agent).await.cilium;
    assert_eq!(said.state, "Warning");
    assert!(said.msg.starts_with("network: "), "{}", said.msg);
    assert!(said.msg.contains("cilium_ipcache"), "{}", said.msg);
    node.datapath.refuse_ips(false);
    // Nobody rings.
    until(|| is("10.244.2.8/32", Some(301)) && node.agent.problems().is_empty()).await;
    task.abort();
}
