//! Ports that nobody serves, at addresses that are those of services alone.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use aya::maps::{HashMap, Map, MapData};
use datapath::{Datapath, Direction, Protocol, Scope, Service};
use datapath_abi::service::{Frontend, Service as Entry};
use datapath_abi::{FORMAT, reason};

use crate::balanced::{self, set};
use crate::cluster::{Cluster, Node, Pod};
use crate::traffic::{ask_udp, ping, serve_tcp, tcp};

/// An address of a load balancer, which the outside sends to the node; the node sends what it does not know back there.
const BALANCER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const PORT: u16 = 80;

fn service(exclusive: bool, backend: Ipv4Addr) -> Service {
    let at = (BALANCER, PORT, Protocol::Tcp, Scope::Outside);
    Service {
        exclusive,
        ..balanced::service(at, &[(backend, 8080)])
    }
}

/// A node with a service at that address, and the pod that answers.
fn served(exclusive: bool) -> (Cluster, Pod) {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let via = node.config.node_ip;
    cluster
        .outside
        .ip(&format!("route add {BALANCER} via {via}"));
    cluster.outside.run(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    });
    let server = node.pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    set(node, service(exclusive, server.ip));
    (cluster, server)
}

/// Packets dropped because no service is there.
fn dropped(node: &Node) -> u64 {
    node.count(reason::NO_BACKEND, Direction::Ingress)
}

/// Asserts that who asks for other ports and protocols is told or dropped, each packet once.
fn is_nobodys(cluster: &Cluster) {
    let node = &cluster.nodes[0];
    let before = dropped(node);
    let refused = tcp(&cluster.outside, BALANCER, PORT + 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let refused = ask_udp(&cluster.outside, BALANCER, PORT);
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!ping(&cluster.outside, BALANCER, 56));
    assert_eq!(dropped(node), before + 3);
    tcp(&cluster.outside, BALANCER, PORT).unwrap();
}

#[test]
fn what_nobody_serves_at_a_load_balancers_address_does_not_go_in_circles() {
    let (cluster, _server) = served(true);
    is_nobodys(&cluster);
}

#[test]
fn an_address_that_a_host_may_have_is_passed_on() {
    let (cluster, _server) = served(false);
    let refused = ask_udp(&cluster.outside, BALANCER, PORT);
    assert_ne!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    assert_eq!(dropped(&cluster.nodes[0]), 0);
    // Until somebody says otherwise, with the service as it is or with another one there.
    let node = &cluster.nodes[0];
    let mut changed = node.datapath(|datapath| datapath.services().unwrap().remove(0));
    changed.exclusive = true;
    set(node, changed.clone());
    is_nobodys(&cluster);
    changed.exclusive = false;
    set(node, changed);
    ask_udp(&cluster.outside, BALANCER, PORT);
    assert_eq!(dropped(node), 3);
}

#[test]
fn an_address_that_the_node_has_is_the_nodes_at_every_other_port() {
    let (cluster, _server) = served(true);
    let node = &cluster.nodes[0];
    node.namespace.ip(&format!("addr add {BALANCER}/32 dev lo"));
    serve_tcp(&node.namespace, BALANCER, 22);
    tcp(&cluster.outside, BALANCER, 22).unwrap();
    assert!(ping(&cluster.outside, BALANCER, 56));
    tcp(&cluster.outside, BALANCER, PORT).unwrap();
    assert_eq!(dropped(node), 0);
}

/// Releases before this one said nothing of addresses to the outside.
#[test]
fn an_agent_that_takes_over_says_of_addresses_what_an_earlier_one_did_not() {
    let (mut cluster, _server) = served(true);
    let node = &mut cluster.nodes[0];
    node.stop();
    let pin = format!("gloonet/maps-v{FORMAT}/cilium_lb4_services");
    let path = node.config.bpffs.join(pin);
    let removed = node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        let mut map: HashMap<_, Frontend, Entry> = Map::HashMap(data).try_into().unwrap();
        let all: Vec<Frontend> = map.keys().map(Result::unwrap).collect();
        let claims = all.into_iter().filter(|key| key.protocol == 0);
        claims.map(|key| map.remove(&key).unwrap()).count()
    });
    assert_eq!(removed, 1);
    node.start();
    is_nobodys(&cluster);
}
