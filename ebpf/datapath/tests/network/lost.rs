//! A take-over of maps of another layout by an agent that can read nothing of what was written about the pods.

use datapath::link::Netlink;
use datapath::{Datapath, Endpoint, Mac};

use crate::cluster::{ALLOW_ALL, Cluster, Node};
use crate::restart::{age, known, tell};
use crate::traffic::{echo, open_tcp, ping, serve_tcp};

/// The pods as they are known of what lies with the connections and of their links; who they are and what they may, the API server
/// says.
fn stand_ins(node: &Node, identity: u32) -> Vec<Endpoint> {
    node.datapath(move |datapath| {
        let links = Netlink::new().unwrap().links().unwrap();
        let host_mac = |ifindex| -> Mac {
            let link = links.iter().find(|link| link.index == ifindex);
            link.unwrap().mac
        };
        let all = datapath.tenants().unwrap().into_iter();
        all.map(|tenant| Endpoint {
            id: tenant.id,
            ip: tenant.ip,
            mac: tenant.mac,
            host_mac: host_mac(tenant.ifindex),
            ifindex: tenant.ifindex,
            identity,
            policy: ALLOW_ALL,
        })
        .collect()
    })
}

#[test]
fn pods_of_which_nothing_written_can_be_read_go_on_behind_maps_of_another_layout() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    let mut learned = known(&cluster.nodes[0]);
    learned.endpoints.clear();
    cluster.nodes[0].stop();
    age(&cluster.nodes[0]);

    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    assert!(!node.datapath(Datapath::is_active));
    assert_eq!(node.datapath(|datapath| datapath.endpoints().unwrap()), []);
    let pods = stand_ins(node, client.endpoint.identity);
    assert_eq!(pods, std::slice::from_ref(&client.endpoint));
    learned.endpoints = pods;
    tell(node, learned);
    node.datapath(|datapath| datapath.activate().unwrap());
    echo(&stream, 1 << 20);
    assert!(ping(&client.namespace, server.ip, 0));
}

#[test]
fn a_pod_that_goes_before_its_maps_are_read_is_nobodys_stand_in_later() {
    let mut cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    cluster.nodes[0].stop();
    age(&cluster.nodes[0]);
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    let id = client.endpoint.id;
    node.datapath(move |datapath| datapath.remove_endpoint(id).unwrap());
    assert_eq!(node.datapath(|datapath| datapath.tenants().unwrap()), []);
}
