//! A pod that crowds the node's table of connections, in what people read of the agent.

use std::time::{Duration, Instant};

use cilium_agent::endpoint::{AttachmentKey, PodRef};
use cilium_agent::endpoints::{Admitted, NewEndpoint};
use cilium_agent::identity::Resolved;
use cilium_agent::task::flows;
use cilium_cni::model::metric::Metric;
use datapath::GaveWay;

use crate::node::{Node, hurry, node, unlisted};

/// The pod's address.
fn attach(node: &Node, name: &str) -> std::net::Ipv4Addr {
    let endpoints = &node.agent.endpoints;
    let (ip, lease) = endpoints.lease(name, Instant::now()).unwrap();
    let new = NewEndpoint {
        attachment: AttachmentKey {
            container_id: name.to_owned(),
            ifname: "eth0".to_owned(),
        },
        pod: Some(PodRef {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        }),
        ip,
        lease,
        mac: datapath::Mac::default(),
        host_mac: datapath::Mac::default(),
        ifindex: 7,
        interface: "lxc7".to_owned(),
    };
    let admitted = Admitted {
        identity: Resolved::init(),
        policy: 0,
    };
    endpoints.put(new, admitted, Instant::now()).unwrap();
    ip
}

#[tokio::test]
async fn a_pod_that_crowds_the_table_of_connections_is_named_and_what_it_lost_is_counted() {
    let node = node("10.244.1.0/24").await;
    node.progress.serving(node.agent.clone());
    let holder = attach(&node, "crawler");
    node.datapath.fake.crowd(vec![GaveWay {
        holder,
        connections: 70,
        translations: 3,
    }]);
    let round = tokio::spawn(flows::run(node.agent.clone()));
    let said = async {
        loop {
            let mut problems = node.agent.problems().into_iter();
            if let Some((_, said)) = problems.find(|(part, _)| *part == "conntrack") {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Long before the first round of a table that nobody crowds.
    let said = tokio::time::timeout(Duration::from_secs(20), said).await;
    round.abort();
    let named = format!("most by shop/crawler ({holder});");
    let said = said.unwrap();
    assert!(said.contains(&named), "{said}");
    let metrics: Vec<Metric> = node.get("/metrics").await;
    let counted = |map: &str| {
        let of_map = |metric: &&Metric| {
            metric.name == "cilium_datapath_conntrack_shed_total"
                && metric
                    .labels
                    .get("map_name")
                    .is_some_and(|name| name == map)
        };
        metrics.iter().find(of_map).map(|metric| metric.value)
    };
    assert_eq!(counted("ct4_global"), Some(70.0));
    assert_eq!(counted("snat"), Some(3.0));
}

fn rounds(node: &Node) -> u64 {
    let counted = &node.agent.tally.flows.runs;
    counted.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn no_connection_is_forgotten_before_everything_was_listed_however_crowded_the_table_is() {
    let node = unlisted("10.244.1.0/24", |router| router).await;
    node.datapath.fake.crowd(vec![GaveWay {
        holder: attach(&node, "crawler"),
        connections: 70,
        translations: 3,
    }]);
    hurry();
    let round = tokio::spawn(flows::run(node.agent.clone()));
    // As often as the table is looked at otherwise.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(rounds(&node), 0);
    node.list();
    tokio::time::sleep(Duration::from_secs(5)).await;
    round.abort();
    assert_eq!(rounds(&node), 1);
}
