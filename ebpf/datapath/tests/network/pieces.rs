//! Datagrams that no link carries whole, from a host outside to services and back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use datapath::{Direction, Protocol, Routing, Scope};
use datapath_abi::reason::FRAGMENT_NOT_FOUND;

use crate::balanced::{service, set};
use crate::cluster::{Cluster, Node, OUTSIDE, Services};
use crate::namespace::Namespace;
use crate::traffic::{serve_udp, udp};

const NODE_PORT: u16 = 30_053;
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const BYTES: usize = 4000;

/// Who answers behind the first node's addresses, and what it takes the client for.
struct Server<'a> {
    namespace: &'a Namespace,
    ip: Ipv4Addr,
    sees: Ipv4Addr,
}

fn are_whole_there_and_back(cluster: &Cluster, server: &Server<'_>) {
    let node = &cluster.nodes[0];
    serve_udp(server.namespace, server.ip, 1053);
    for (ip, port) in [(node.config.node_ip, NODE_PORT), (EXTERNAL, 53)] {
        let frontend = (ip, port, Protocol::Udp, Scope::Outside);
        set(node, service(frontend, &[(server.ip, 1053)]));
        let (from, seen, length) = udp(&cluster.outside, ip, port, BYTES).unwrap();
        assert_eq!(from, SocketAddr::from((ip, port)));
        assert_eq!((seen, length), (IpAddr::from(server.sees), BYTES));
    }
}

fn datagrams_are_whole_there_and_back(routing: Routing) {
    let cluster = Cluster::routed(routing, Services::BySocket);
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let via = node.config.node_ip;
    cluster
        .outside
        .ip(&format!("route add {EXTERNAL} via {via}"));
    let (near, far) = (node.pod(20), other.pod(20));
    let host = |node: &Node| node.config.node_ip;
    for (namespace, ip, sees) in [
        (&near.namespace, near.ip, OUTSIDE),
        (&far.namespace, far.ip, node.stand_in()),
        (&node.namespace, host(node), OUTSIDE),
        (&other.namespace, host(other), via),
    ] {
        let server = Server {
            namespace,
            ip,
            sees,
        };
        are_whole_there_and_back(&cluster, &server);
    }
    for node in &cluster.nodes {
        for direction in [Direction::Ingress, Direction::Egress] {
            assert_eq!(node.count(FRAGMENT_NOT_FOUND, direction), 0);
        }
    }
}

#[test]
fn a_datagram_in_pieces_from_outside_is_whole_at_every_endpoint_and_so_is_the_answer() {
    datagrams_are_whole_there_and_back(Routing::Tunnel);
}

#[test]
fn a_datagram_in_pieces_from_outside_is_whole_at_every_endpoint_without_a_tunnel_too() {
    datagrams_are_whole_there_and_back(Routing::Native);
}
