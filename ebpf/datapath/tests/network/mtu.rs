use std::fs;
use std::net::Ipv4Addr;

use datapath::Direction;
use datapath_abi::reason;

use crate::cluster::{Cluster, Pod};
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

fn learnt(pod: &Pod, ip: Ipv4Addr) -> bool {
    let route = pod.namespace.ip(&format!("route get {ip}"));
    route.contains(&format!("mtu {POD_MTU}"))
}

fn told(cluster: &Cluster) -> u64 {
    cluster.nodes[0].count(reason::FRAGMENTATION_NEEDED, Direction::Egress)
}

#[test]
fn a_sender_of_datagrams_that_must_not_be_cut_learns_what_fits() {
    let (cluster, client, server) = cluster();
    assert!(!learnt(&client, server.ip));
    // The first one is lost, as the sender's own kernel expects; the next ones it cuts by itself.
    let (_, _, length) = udp(&client.namespace, server.ip, 53, 1470).unwrap();
    assert_eq!((length, told(&cluster)), (1470, 1));
    assert!(learnt(&client, server.ip));
}

#[test]
fn a_tcp_connection_learns_what_fits_and_goes_on() {
    let (cluster, client, server) = cluster();
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    assert!(told(&cluster) > 0);
    assert!(learnt(&client, server.ip));
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
