use std::net::IpAddr;

use crate::cluster::{Cluster, OUTSIDE};
use crate::traffic::{echo, open_tcp, ping, serve_tcp, serve_udp, tcp, udp};

#[test]
fn pods_reach_the_outside_with_their_nodes_address() {
    let cluster = Cluster::new();
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    serve_udp(&cluster.outside, OUTSIDE, 53);
    for node in &cluster.nodes {
        let pod = node.pod(10);
        let node_ip = IpAddr::from(node.config.node_ip);
        assert_eq!(tcp(&pod.namespace, OUTSIDE, 80).unwrap(), node_ip);
        let (from, seen, length) = udp(&pod.namespace, OUTSIDE, 53, 512).unwrap();
        assert_eq!((from.ip(), seen, length), (OUTSIDE.into(), node_ip, 512));
        assert!(ping(&pod.namespace, OUTSIDE, 56));
    }
}

#[test]
fn datagrams_in_pieces_and_long_streams_reach_the_outside_and_come_back() {
    let cluster = Cluster::new();
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    serve_udp(&cluster.outside, OUTSIDE, 53);
    let pod = cluster.nodes[0].pod(10);
    assert_eq!(udp(&pod.namespace, OUTSIDE, 53, 9000).unwrap().2, 9000);
    let (stream, _) = open_tcp(&pod.namespace, OUTSIDE, 80).unwrap();
    echo(&stream, 8 << 20);
}

#[test]
fn the_hosts_own_traffic_is_left_alone() {
    let cluster = Cluster::new();
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    let node = &cluster.nodes[0];
    assert_eq!(
        tcp(&node.namespace, OUTSIDE, 80).unwrap(),
        IpAddr::from(node.config.node_ip)
    );
    assert!(ping(&node.namespace, OUTSIDE, 56));
}
