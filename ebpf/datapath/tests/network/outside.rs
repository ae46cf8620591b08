//! Services reached from a host outside the cluster.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use datapath::{Datapath, Direction, Protocol, Scope, Service, Verdict, WhenEmpty};
use datapath_abi::FLOWS;
use datapath_abi::nat::{Target, Tuple};

use crate::balanced::{self, set};
use crate::cluster::{ALLOW_ALL, Cluster, Node, OUTSIDE, Pod, rules};
use crate::traffic::{ask_udp, echo, open_tcp, ping, serve_tcp, serve_udp, tcp, udp};

pub(crate) const NODE_PORT: u16 = 30_080;
pub(crate) const UDP_NODE_PORT: u16 = 30_053;
/// An address that no host has; the outside knows a way to it.
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const DENIED_BY_SOURCE: u8 = 177;
const POLICY_DENIED: u8 = 133;

fn service(ip: Ipv4Addr, port: u16, protocol: Protocol, backends: &[(Ipv4Addr, u16)]) -> Service {
    balanced::service((ip, port, protocol, Scope::Outside), backends)
}

/// A TCP service at the node's address.
fn node_port(node: &Node, backends: &[(Ipv4Addr, u16)]) {
    let service = service(node.config.node_ip, NODE_PORT, Protocol::Tcp, backends);
    set(node, service);
}

/// One of TCP and one of UDP at the node's address, and the pod answers both.
pub(crate) fn node_ports(node: &Node, server: &Pod) {
    serve_tcp(&server.namespace, server.ip, 8080);
    serve_udp(&server.namespace, server.ip, 1053);
    node_port(node, &[(server.ip, 8080)]);
    let backends = [(server.ip, 1053)];
    let ip = node.config.node_ip;
    set(node, service(ip, UDP_NODE_PORT, Protocol::Udp, &backends));
}

/// Empties the table of which backend a flow has.
fn forget_choices(node: &Node) {
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/flows-v{FLOWS}/cilium_ct_service"));
    node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        let mut map: HashMap<_, Tuple, Target> = Map::LruHashMap(data).try_into().unwrap();
        let known: Vec<Tuple> = map.keys().map(Result::unwrap).collect();
        assert!(!known.is_empty());
        for flow in known {
            map.remove(&flow).unwrap();
        }
    });
}

#[test]
fn a_pod_of_the_node_sees_the_client_itself_and_answers_as_the_service() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let server = node.pod(20);
    node_ports(node, &server);
    let at = SocketAddr::from((node.config.node_ip, NODE_PORT));
    let (stream, seen) = open_tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
    assert_eq!((stream.peer_addr().unwrap(), seen), (at, OUTSIDE.into()));
    echo(&stream, 8 << 20);
    let (from, seen, length) =
        udp(&cluster.outside, node.config.node_ip, UDP_NODE_PORT, 1400).unwrap();
    assert_eq!(from, SocketAddr::from((node.config.node_ip, UDP_NODE_PORT)));
    assert_eq!((seen, length), (OUTSIDE.into(), 1400));
}

#[test]
fn a_port_that_a_process_of_the_node_listens_at_becomes_the_services_and_the_process_keeps_its_connections()
 {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let server = node.pod(20);
    serve_tcp(&node.namespace, node.config.node_ip, NODE_PORT);
    let (old, _) = open_tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
    echo(&old, 1 << 20);
    node_ports(node, &server);
    echo(&old, 1 << 20);
    // One of the Service stays its own, although the process listens at the port, also when its table forgot it.
    let (new, _) = open_tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
    echo(&new, 1 << 20);
    forget_choices(node);
    echo(&new, 1 << 20);
    let nobody = service(node.config.node_ip, NODE_PORT, Protocol::Tcp, &[]);
    let frontend = nobody.frontend;
    set(node, nobody);
    // Refused: the process is not asked.
    let refused = tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    echo(&old, 1 << 20);
    node.datapath(move |datapath| datapath.remove_service(frontend).unwrap());
    tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
}

#[test]
fn a_host_of_another_node_is_answered_as_the_service_too() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let server = node.pod(20);
    node_ports(node, &server);
    let host = IpAddr::from(other.config.node_ip);
    let at = node.config.node_ip;
    let (stream, seen) = open_tcp(&other.namespace, at, NODE_PORT).unwrap();
    assert_eq!(seen, host);
    echo(&stream, 4 << 20);
    let (from, seen, _) = udp(&other.namespace, at, UDP_NODE_PORT, 1000).unwrap();
    assert_eq!((from, seen), (SocketAddr::from((at, UDP_NODE_PORT)), host));
}

#[test]
fn a_pod_of_another_node_is_reached_through_the_tunnel_with_the_nodes_address_among_pods() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let server = other.pod(20);
    node_ports(node, &server);
    let router = IpAddr::from(node.config.router_ip);
    let (stream, seen) = open_tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
    assert_eq!(seen, router);
    echo(&stream, 4 << 20);
    // Collecting ended flows does not take the translation of one that lives.
    let collected = node.datapath(|datapath| datapath.collect_flows().unwrap());
    assert_eq!(collected.translations, 0, "{collected:?}");
    echo(&stream, 4 << 20);
    let (from, seen, _) = udp(&cluster.outside, node.config.node_ip, UDP_NODE_PORT, 1000).unwrap();
    assert_eq!(from, SocketAddr::from((node.config.node_ip, UDP_NODE_PORT)));
    assert_eq!(seen, router);
}

#[test]
fn a_host_may_be_the_backend_here_and_elsewhere() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    for host in [node, other] {
        serve_tcp(&host.namespace, host.config.node_ip, 8443);
        node_port(node, &[(host.config.node_ip, 8443)]);
        let (stream, seen) = open_tcp(&cluster.outside, node.config.node_ip, NODE_PORT).unwrap();
        let expected = if host.config.node_ip == node.config.node_ip {
            OUTSIDE
        } else {
            node.config.node_ip
        };
        assert_eq!(seen, IpAddr::from(expected));
        echo(&stream, 4 << 20);
    }
}

#[test]
fn an_external_address_is_served_where_its_packets_arrive() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (near, far) = (node.pod(20), other.pod(20));
    let via = node.config.node_ip;
    cluster
        .outside
        .ip(&format!("route add {EXTERNAL} via {via}"));
    for server in [&near, &far] {
        serve_tcp(&server.namespace, server.ip, 8080);
        let external = service(EXTERNAL, 80, Protocol::Tcp, &[(server.ip, 8080)]);
        set(node, external);
        let (stream, _) = open_tcp(&cluster.outside, EXTERNAL, 80).unwrap();
        assert_eq!(
            stream.peer_addr().unwrap(),
            SocketAddr::from((EXTERNAL, 80))
        );
        echo(&stream, 2 << 20);
    }
}

#[test]
fn a_service_without_backends_refuses_at_once_unless_other_nodes_have_some() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let ip = node.config.node_ip;
    node_port(node, &[]);
    set(node, service(ip, UDP_NODE_PORT, Protocol::Udp, &[]));
    let begun = Instant::now();
    let refused = tcp(&cluster.outside, ip, NODE_PORT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    let refused = ask_udp(&cluster.outside, ip, UDP_NODE_PORT);
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    let mut silent = service(ip, NODE_PORT, Protocol::Tcp, &[]);
    silent.when_empty = WhenEmpty::Drop;
    set(node, silent);
    let nothing = tcp(&cluster.outside, ip, NODE_PORT).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::TimedOut, "{nothing}");
}

#[test]
fn source_ranges_keep_others_out_and_go_with_the_service() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let server = node.pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    let mut restricted = service(
        node.config.node_ip,
        NODE_PORT,
        Protocol::Tcp,
        &[(server.ip, 8080)],
    );
    let frontend = restricted.frontend;
    for (range, open) in [("198.51.100.0/24", false), ("172.30.9.0/24", true)] {
        restricted.source_ranges = vec![range.parse().unwrap()];
        set(node, restricted.clone());
        let answer = tcp(&cluster.outside, node.config.node_ip, NODE_PORT);
        assert_eq!(answer.is_ok(), open, "{range}: {answer:?}");
    }
    assert!(node.count(DENIED_BY_SOURCE, Direction::Ingress) > 0);
    node.datapath(move |datapath| {
        datapath.remove_service(frontend).unwrap();
        let full = datapath.map_pressure().unwrap();
        let left = full
            .iter()
            .find(|map| map.name == "cilium_lb4_source_range");
        assert_eq!(left.unwrap().used, 0);
    });
}

#[test]
fn everything_else_at_the_nodes_address_is_the_hosts_and_pods_reach_it_too() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let ip = node.config.node_ip;
    let pod = node.pod(10);
    node_port(node, &[(pod.ip, 8080)]);
    let mut inside = service(ip, NODE_PORT, Protocol::Tcp, &[(pod.ip, 8080)]);
    inside.frontend.scope = Scope::Inside;
    set(node, inside);
    serve_tcp(&node.namespace, ip, 10_250);
    serve_udp(&node.namespace, ip, 9000);
    for from in [&cluster.outside, &pod.namespace] {
        assert!(tcp(from, ip, 10_250).is_ok());
        assert_eq!(udp(from, ip, 9000, 3000).unwrap().2, 3000);
        assert!(ping(from, ip, 56));
        let nobody = tcp(from, ip, 10_251).unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::ConnectionRefused);
    }
    assert!(tcp(&node.namespace, OUTSIDE, 1).is_err());
}

#[test]
fn the_policy_of_the_pod_judges_the_client() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let server = node.pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    node_port(node, &[(server.ip, 8080)]);
    assert!(tcp(&cluster.outside, node.config.node_ip, NODE_PORT).is_ok());
    node.datapath(|datapath| {
        datapath
            .set_policy(ALLOW_ALL, &rules(Verdict::DefaultDeny))
            .unwrap();
        datapath.new_epoch().unwrap();
    });
    assert!(tcp(&cluster.outside, node.config.node_ip, NODE_PORT).is_err());
    assert!(node.count(POLICY_DENIED, Direction::Ingress) > 0);
}

#[test]
fn a_connection_outlives_the_agent_and_a_change_of_the_service() {
    let mut cluster = Cluster::new();
    let far = cluster.nodes[1].pod(20);
    let near = cluster.nodes[0].pod(20);
    for server in [&far, &near] {
        serve_tcp(&server.namespace, server.ip, 8080);
    }
    let ip = cluster.nodes[0].config.node_ip;
    let open = |cluster: &Cluster| open_tcp(&cluster.outside, ip, NODE_PORT).unwrap().0;
    node_port(&cluster.nodes[0], &[(far.ip, 8080)]);
    let through = open(&cluster);
    node_port(&cluster.nodes[0], &[(near.ip, 8080)]);
    let here = open(&cluster);
    cluster.nodes[0].stop();
    echo(&through, 1 << 20);
    echo(&here, 1 << 20);
    cluster.nodes[0].start();
    node_port(&cluster.nodes[0], &[]);
    echo(&through, 1 << 20);
    echo(&here, 1 << 20);
}

#[test]
fn a_client_outside_hears_that_nobody_listens_behind_a_service() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let ip = node.config.node_ip;
    let server = node.pod(20);
    for backend in [server.ip, ip] {
        set(
            node,
            service(ip, UDP_NODE_PORT, Protocol::Udp, &[(backend, 1053)]),
        );
        let said = ask_udp(&cluster.outside, ip, UDP_NODE_PORT);
        assert_eq!(said.kind(), ErrorKind::ConnectionRefused, "{backend}");
    }
}
