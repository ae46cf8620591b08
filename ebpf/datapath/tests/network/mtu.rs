use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use datapath::{Direction, Routing};
use datapath_abi::reason;

use crate::cluster::{Cluster, Pod, Services};
use crate::namespace::Namespace;
use crate::outside::{NODE_PORT, UDP_NODE_PORT, node_ports};
use crate::traffic::{echo, open_tcp, serve_tcp, serve_udp, udp};

const POD_MTU: usize = 1450;
/// As if a pod's link had been made on another node, where the tunnel takes nothing away.
const LONGER: &str = "1500";

/// Two pods of two nodes whose links take more than the tunnel.
fn cluster() -> (Cluster, Pod, Pod) {
    let cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    for (node, pod, last) in [(0, &client, 10), (1, &server, 20)] {
        let host = &cluster.nodes[node].namespace;
        host.ip(&format!("link set lxc{last} mtu {LONGER}"));
        pod.namespace.ip(&format!("link set eth0 mtu {LONGER}"));
    }
    serve_tcp(&server.namespace, server.ip, 80);
    serve_udp(&server.namespace, server.ip, 53);
    (cluster, client, server)
}

fn learnt(pod: &Pod, ip: Ipv4Addr, mtu: usize) -> bool {
    let route = pod.namespace.ip(&format!("route get {ip}"));
    route.contains(&format!("mtu {mtu}"))
}

fn told(cluster: &Cluster) -> u64 {
    cluster.nodes[0].count(reason::FRAGMENTATION_NEEDED, Direction::Egress)
}

#[test]
fn a_sender_of_datagrams_that_must_not_be_cut_learns_what_fits() {
    let (cluster, client, server) = cluster();
    assert!(!learnt(&client, server.ip, POD_MTU));
    // The first one is lost, as the sender's own kernel expects; the next ones it cuts by itself.
    let (_, _, length) = udp(&client.namespace, server.ip, 53, 1470).unwrap();
    assert_eq!((length, told(&cluster)), (1470, 1));
    assert!(learnt(&client, server.ip, POD_MTU));
}

#[test]
fn a_tcp_connection_learns_what_fits_and_goes_on() {
    let (cluster, client, server) = cluster();
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    assert!(told(&cluster) > 0);
    assert!(learnt(&client, server.ip, POD_MTU));
}

#[test]
fn what_may_be_cut_is_cut_by_the_node() {
    let (cluster, client, server) = cluster();
    for pod in [&client, &server] {
        pod.namespace.run(|| {
            fs::write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1").unwrap();
        });
    }
    let (_, _, length) = udp(&client.namespace, server.ip, 53, 1470).unwrap();
    assert_eq!((length, told(&cluster)), (1470, 0));
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const WAY_TO_CLIENT: usize = 1300;

/// A client behind the host outside, which routes; the link between them takes more than the way.
fn client_behind_a_router(cluster: &Cluster) -> Namespace {
    let client = Namespace::new();
    let router = &cluster.outside;
    let id = client.thread_id();
    router.ip(&format!("link add far type veth peer name eth0 netns {id}"));
    router.ip("addr add 198.51.100.1/24 dev far");
    router.ip("link set far up");
    router.ip(&format!(
        "route add {CLIENT}/32 dev far mtu {WAY_TO_CLIENT}"
    ));
    router.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    client.ip(&format!("addr add {CLIENT}/24 dev eth0"));
    client.ip("link set eth0 up");
    client.ip("route add default via 198.51.100.1");
    client
}

fn endpoints_learn_what_the_way_to_a_client_carries(routing: Routing) {
    let cluster = Cluster::routed(routing, Services::BySocket);
    let client = client_behind_a_router(&cluster);
    let node = &cluster.nodes[0];
    let asked = node.config.node_ip;
    for (holder, sees) in [(0, CLIENT), (1, node.stand_in())] {
        let [streams, datagrams] = [20, 21].map(|last| cluster.nodes[holder].pod(last));
        node_ports(node, &streams);
        let (stream, seen) = open_tcp(&client, asked, NODE_PORT).unwrap();
        assert_eq!(seen, IpAddr::from(sees));
        assert!(!learnt(&streams, sees, WAY_TO_CLIENT));
        echo(&stream, 1 << 20);
        assert!(learnt(&streams, sees, WAY_TO_CLIENT));

        node_ports(node, &datagrams);
        assert!(!learnt(&datagrams, sees, WAY_TO_CLIENT));
        // The first answer is lost, the next one is cut by who gives it.
        let (_, seen, length) = udp(&client, asked, UDP_NODE_PORT, 1400).unwrap();
        assert_eq!((seen, length), (IpAddr::from(sees), 1400));
        assert!(learnt(&datagrams, sees, WAY_TO_CLIENT));
    }
}

#[test]
fn an_endpoint_learns_what_the_way_to_a_client_outside_carries() {
    endpoints_learn_what_the_way_to_a_client_carries(Routing::Tunnel);
}

#[test]
fn an_endpoint_learns_what_the_way_to_a_client_outside_carries_without_a_tunnel_too() {
    endpoints_learn_what_the_way_to_a_client_carries(Routing::Native);
}
