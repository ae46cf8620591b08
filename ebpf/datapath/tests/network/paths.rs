use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use datapath::{Datapath, Direction};
use datapath_abi::reason;

use crate::cluster::Cluster;
use crate::namespace::Namespace;
use crate::traffic::{echo, open_tcp, ping, serve_tcp, serve_udp, tcp, udp};

#[test]
fn pods_of_one_node_and_of_two_talk_and_see_each_others_addresses() {
    let cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    for server in [cluster.nodes[0].pod(20), cluster.nodes[1].pod(20)] {
        serve_tcp(&server.namespace, server.ip, 80);
        serve_udp(&server.namespace, server.ip, 53);
        assert_eq!(
            tcp(&client.namespace, server.ip, 80).unwrap(),
            IpAddr::from(client.ip)
        );
        let (from, seen, length) = udp(&client.namespace, server.ip, 53, 100).unwrap();
        assert_eq!(
            (from.ip(), seen, length),
            (server.ip.into(), client.ip.into(), 100)
        );
        assert!(ping(&client.namespace, server.ip, 56));
    }
}

/// cilium-cli's test `pod-to-pod-encryption-v2` looks for the device to listen at in this way.
#[test]
fn the_kernel_has_a_route_from_the_nodes_own_pair_of_devices_to_pods_everywhere() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (near, far) = (node.pod(10), cluster.nodes[1].pod(20));
    for pod in [&near, &far] {
        let asked = format!(
            "route get {} from {} iif cilium_host",
            pod.ip, node.config.node_ip
        );
        let route = node.namespace.ip(&asked);
        assert!(route.contains("dev cilium_host"), "{route}");
    }
}

#[test]
fn packets_up_to_the_pods_mtu_pass_whole_and_larger_ones_in_pieces() {
    let cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    let server = cluster.nodes[1].pod(20);
    serve_udp(&server.namespace, server.ip, 53);
    assert_eq!(cluster.nodes[0].datapath(Datapath::pod_mtu), 1450);
    for bytes in [1450 - 28 - "10.244.1.10 ".len(), 1450 - 28, 8000, 60_000] {
        assert_eq!(
            udp(&client.namespace, server.ip, 53, bytes).unwrap().2,
            bytes
        );
    }
    assert!(ping(&client.namespace, server.ip, 1450 - 28));
}

#[test]
fn a_transfer_between_nodes_stays_in_large_segments() {
    const BYTES: usize = 64 << 20;
    let cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    let server = cluster.nodes[1].pod(20);
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    let before = cluster.nodes[1].count(reason::FORWARDED, Direction::Ingress);
    echo(&stream, BYTES);
    let packets = cluster.nodes[1].count(reason::FORWARDED, Direction::Ingress) - before;
    // Cut to the MTU the data alone were 48000 packets; acknowledgements of the way back come on top.
    assert!(
        packets < 30_000,
        "{packets} packets for {BYTES} bytes each way"
    );
}

#[test]
fn a_socket_connected_to_a_pod_that_went_away_hears_of_it_here_and_on_another_node() {
    let cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    for node in &cluster.nodes {
        let server = node.pod(20);
        serve_udp(&server.namespace, server.ip, 1053);
        let to = server.ip;
        let socket = client.namespace.run(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect((to, 1053)).unwrap();
            socket
        });
        let ask = move |socket: &UdpSocket| {
            socket
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            socket.send(b"?").and_then(|_| socket.recv(&mut [0; 99]))
        };
        assert!(ask(&socket).is_ok(), "{to}");
        let id = server.endpoint.id;
        node.datapath(move |datapath| datapath.remove_endpoint(id).unwrap());
        let said = ask(&socket).unwrap_err();
        assert_eq!(said.kind(), ErrorKind::ConnectionRefused, "{to}: {said}");
    }
}

#[test]
fn what_the_host_sends_from_its_own_address_reaches_pods_of_other_nodes() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let pod = other.pod(20);
    serve_udp(&pod.namespace, pod.ip, 1053);
    let (from, to) = (node.config.node_ip, pod.ip);
    let ask = move || {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        socket.connect((to, 1053)).unwrap();
        socket.send(&[7; 1000]).unwrap();
        let mut answer = vec![0; 2000];
        let length = socket.recv(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let answer = node.namespace.run(ask);
    let seen = format!("{from} ");
    assert!(answer.starts_with(&seen), "{answer}");
    assert_eq!(answer.len(), seen.len() + 1000);
    // Collecting ended connections does not take the translation of one that lives.
    let collected = node.datapath(|datapath| datapath.collect_flows().unwrap());
    assert_eq!(collected.translations, 0, "{collected:?}");
}

#[test]
fn the_host_reaches_its_pods_and_those_of_other_nodes_and_they_reach_it() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (near, far) = (node.pod(10), other.pod(20));
    for pod in [&near, &far] {
        serve_tcp(&pod.namespace, pod.ip, 80);
        assert_eq!(
            tcp(&node.namespace, pod.ip, 80).unwrap(),
            IpAddr::from(node.config.router_ip)
        );
        assert!(ping(&node.namespace, pod.ip, 56));
    }
    serve_tcp(&node.namespace, node.config.node_ip, 6443);
    serve_tcp(&node.namespace, node.config.router_ip, 4240);
    assert_eq!(
        tcp(&near.namespace, node.config.node_ip, 6443).unwrap(),
        IpAddr::from(near.ip)
    );
    assert_eq!(
        tcp(&near.namespace, node.config.router_ip, 4240).unwrap(),
        IpAddr::from(near.ip)
    );
    assert_eq!(
        tcp(&far.namespace, node.config.router_ip, 4240).unwrap(),
        IpAddr::from(far.ip)
    );
    assert_eq!(
        tcp(&far.namespace, node.config.node_ip, 6443).unwrap(),
        IpAddr::from(other.config.node_ip)
    );
}

/// Where agents ask each other whether they are reached.
#[test]
fn hosts_reach_each_others_router_through_the_tunnel_as_their_own() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (router, node_ip) = (node.config.router_ip, node.config.node_ip);
    serve_tcp(&node.namespace, router, 4240);
    serve_tcp(&node.namespace, node_ip, 4240);
    let ask = |asker: &Namespace, ip| tcp(asker, ip, 4240).unwrap();
    assert_eq!(
        ask(&other.namespace, router),
        IpAddr::from(other.config.router_ip)
    );
    assert_eq!(
        ask(&other.namespace, node_ip),
        IpAddr::from(other.config.node_ip)
    );
    // An agent asks its own node, too.
    assert_eq!(ask(&node.namespace, router), IpAddr::from(router));
    assert_eq!(ask(&node.namespace, node_ip), IpAddr::from(node_ip));
    for ip in [router, node_ip] {
        assert!(ping(&other.namespace, ip, 56) && ping(&node.namespace, ip, 56));
    }
}

#[test]
fn a_pod_with_nothing_to_say_sends_hardly_anything() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let pod = node.pod(10);
    sleep(Duration::from_secs(3));
    let addresses = pod.namespace.ip("-6 addr show dev eth0");
    assert_eq!(addresses, "");
    // What is left are reports of the kernel's own IPv6 multicast group.
    let dropped = node.count(reason::UNSUPPORTED_L3, Direction::Egress);
    assert!(dropped <= 3, "{dropped} IPv6 packets");
}

#[test]
fn a_removed_pod_is_unreachable_at_once_and_its_link_drops_everything() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (client, server) = (node.pod(10), node.pod(20));
    serve_udp(&server.namespace, server.ip, 53);
    assert!(ping(&client.namespace, server.ip, 0));
    let id = server.endpoint.id;
    node.datapath(move |datapath| {
        datapath.remove_endpoint(id).unwrap();
        datapath.remove_endpoint(id).unwrap();
    });
    assert!(!ping(&client.namespace, server.ip, 0));
    assert_eq!(
        node.datapath(|datapath| datapath.endpoints().unwrap()),
        std::slice::from_ref(&client.endpoint)
    );
    assert!(tcp(&node.namespace, server.ip, 53).is_err());
}
