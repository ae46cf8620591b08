use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use datapath::{Datapath, Frontend, Protocol, Routing, Scope};

use crate::balanced;
use crate::chance::{BOUND, TEN, distance};
use crate::cluster::{Cluster, Node, Pod, Services};
use crate::traffic::{
    ask_numbers, ask_udp, echo, open_tcp, serve_numbers, serve_tcp, serve_udp, tcp, udp,
};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

fn set(nodes: &[Node], protocol: Protocol, port: u16, backends: &[(Ipv4Addr, u16)]) {
    let mut service = balanced::service((VIP, port, protocol, Scope::Inside), backends);
    service.exclusive = true;
    for node in nodes {
        balanced::set(node, service.clone());
    }
}

/// TCP and UDP at [`VIP`], a client, and on the other node who answers.
fn served() -> (Cluster, Pod, Pod) {
    let cluster = Cluster::new();
    let client = cluster.nodes[0].pod(10);
    let server = cluster.nodes[1].pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    serve_udp(&server.namespace, server.ip, 1053);
    set(&cluster.nodes, Protocol::Tcp, 80, &[(server.ip, 8080)]);
    set(&cluster.nodes, Protocol::Udp, 53, &[(server.ip, 1053)]);
    (cluster, client, server)
}

#[test]
fn pods_and_the_host_reach_a_service_and_see_it_as_their_peer() {
    let (cluster, client, _server) = served();
    for (namespace, own) in [
        (&client.namespace, client.ip),
        (
            &cluster.nodes[0].namespace,
            cluster.nodes[0].config.router_ip,
        ),
    ] {
        let (stream, seen) = open_tcp(namespace, VIP, 80).unwrap();
        assert_eq!(seen, IpAddr::from(own));
        assert_eq!(stream.peer_addr().unwrap(), SocketAddr::from((VIP, 80)));
        let (from, seen, _) = udp(namespace, VIP, 53, 64).unwrap();
        assert_eq!(
            (from, seen),
            (SocketAddr::from((VIP, 53)), IpAddr::from(own))
        );
    }
}

/// Runtimes with one kind of socket for both families.
#[test]
fn a_socket_of_ipv6_reaches_a_service_at_its_ipv4_address_and_sees_it_as_its_peer() {
    let (cluster, client, _server) = served();
    let at = |port| SocketAddr::from((VIP.to_ipv6_mapped(), port));
    for namespace in [&client.namespace, &cluster.nodes[0].namespace] {
        let peers = namespace.run(move || {
            let patience = Duration::from_secs(3);
            let stream = TcpStream::connect_timeout(&at(80), patience).unwrap();
            let socket = UdpSocket::bind("[::]:0").unwrap();
            socket.set_read_timeout(Some(patience)).unwrap();
            socket.send_to(b"?", at(53)).unwrap();
            let (_, unconnected) = socket.recv_from(&mut [0; 64]).unwrap();
            socket.connect(at(53)).unwrap();
            (
                stream.peer_addr().unwrap(),
                unconnected,
                socket.peer_addr().unwrap(),
            )
        });
        assert_eq!(peers, (at(80), at(53), at(53)));
    }
    set(&cluster.nodes, Protocol::Tcp, 80, &[]);
    let refused = client.namespace.run(move || TcpStream::connect(at(80)));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_service_without_backends_refuses_at_once() {
    for services in [Services::BySocket, Services::ByPacket] {
        let cluster = Cluster::with(services);
        let client = cluster.nodes[0].pod(10);
        set(&cluster.nodes, Protocol::Tcp, 80, &[]);
        let start = Instant::now();
        assert_eq!(
            tcp(&client.namespace, VIP, 80).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        // A port that no service has is refused, too: the address is nobody else's.
        if services == Services::ByPacket {
            let other = tcp(&client.namespace, VIP, 81).unwrap_err();
            assert_eq!(other.kind(), ErrorKind::ConnectionRefused);
        }
        assert!(start.elapsed() < Duration::from_millis(500));
    }
}

#[test]
fn a_changed_service_serves_new_connections_and_a_removed_one_is_gone() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let client = node.pod(10);
    let (first, second) = (node.pod(20), node.pod(21));
    serve_udp(&first.namespace, first.ip, 53);
    serve_udp(&second.namespace, second.ip, 54);
    let number = || node.datapath(|datapath| datapath.numbered_services().unwrap()[0].0);
    set(&cluster.nodes, Protocol::Udp, 53, &[(first.ip, 53)]);
    assert!(udp(&client.namespace, VIP, 53, 1).is_ok());
    let before = number();
    set(&cluster.nodes, Protocol::Udp, 53, &[(first.ip, 53)]);
    assert_eq!(number(), before);
    set(&cluster.nodes, Protocol::Udp, 53, &[(second.ip, 54)]);
    assert!(udp(&client.namespace, VIP, 53, 1).is_ok());
    assert_ne!(number(), before);
    for node in &cluster.nodes {
        node.datapath(|datapath| {
            datapath
                .remove_service(Frontend {
                    ip: VIP,
                    port: 53,
                    protocol: Protocol::Udp,
                    scope: Scope::Inside,
                })
                .unwrap();
            assert_eq!(datapath.services().unwrap(), []);
            let full: Vec<_> = datapath.map_pressure().unwrap();
            assert!(
                full.iter()
                    .filter(|map| map.name.starts_with("cilium_lb4_")
                        && map.name != "cilium_lb4_reverse_sk")
                    .all(|map| map.used == 0),
                "{full:?}"
            );
        });
    }
}

#[test]
fn without_socket_hooks_packets_are_translated_one_by_one() {
    let cluster = Cluster::with(Services::ByPacket);
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let client = node.pod(10);
    let (near, far) = (node.pod(20), other.pod(20));
    serve_tcp(&node.namespace, node.config.node_ip, 6443);
    serve_tcp(&other.namespace, other.config.node_ip, 6443);
    for server in [&near, &far] {
        serve_tcp(&server.namespace, server.ip, 8080);
        serve_udp(&server.namespace, server.ip, 1053);
    }
    for backend in [near.ip, far.ip] {
        set(&cluster.nodes, Protocol::Tcp, 80, &[(backend, 8080)]);
        set(&cluster.nodes, Protocol::Udp, 53, &[(backend, 1053)]);
        let (stream, seen) = open_tcp(&client.namespace, VIP, 80).unwrap();
        assert_eq!(seen, IpAddr::from(client.ip));
        echo(&stream, 4 << 20);
        let (from, _, _) = udp(&client.namespace, VIP, 53, 1000).unwrap();
        assert_eq!(from, SocketAddr::from((VIP, 53)));
    }
    for (host, seen_as) in [
        (node.config.node_ip, client.ip),
        (other.config.node_ip, node.config.node_ip),
    ] {
        set(&cluster.nodes, Protocol::Tcp, 443, &[(host, 6443)]);
        let (stream, seen) = open_tcp(&client.namespace, VIP, 443).unwrap();
        assert_eq!(seen, IpAddr::from(seen_as));
        echo(&stream, 1 << 20);
    }
    serve_tcp(&client.namespace, client.ip, 8080);
    set(&cluster.nodes, Protocol::Tcp, 80, &[(client.ip, 8080)]);
    assert_eq!(
        tcp(&client.namespace, VIP, 80).unwrap(),
        IpAddr::from(Ipv4Addr::new(169, 254, 42, 1))
    );
}

#[test]
fn who_asks_a_service_packet_by_packet_hears_that_nobody_listens_behind_it() {
    for routing in [Routing::Tunnel, Routing::Native] {
        let cluster = Cluster::routed(routing, Services::ByPacket);
        let [node, other] = &cluster.nodes[..] else {
            panic!("two nodes")
        };
        let client = node.pod(10);
        let (near, far) = (node.pod(20), other.pod(20));
        let gone = Ipv4Addr::new(10, 244, 1, 99);
        let gone_far = Ipv4Addr::new(10, 244, 2, 99);
        let hosts = [node.config.node_ip, other.config.node_ip];
        for backend in [near.ip, far.ip, gone, gone_far, client.ip]
            .into_iter()
            .chain(hosts)
        {
            set(&cluster.nodes, Protocol::Udp, 53, &[(backend, 1053)]);
            let said = ask_udp(&client.namespace, VIP, 53);
            assert_eq!(said.kind(), ErrorKind::ConnectionRefused, "{backend}");
        }
    }
}

#[test]
fn sockets_meet_every_endpoint_of_a_service_equally_often() {
    const FIRST: u16 = 2000;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (client, server) = (node.pod(10), node.pod(20));
    let ports = FIRST..FIRST + 10;
    serve_numbers(&server.namespace, server.ip, ports.clone());
    let backends: Vec<_> = ports.map(|port| (server.ip, port)).collect();
    set(&cluster.nodes, Protocol::Tcp, 80, &backends);
    let mut met = [0; TEN];
    for port in ask_numbers(&client.namespace, VIP, 80, 10_000) {
        met[usize::from(port - FIRST)] += 1;
    }
    assert!(distance(&met) < BOUND, "{met:?}");
}

#[test]
fn a_port_at_the_nodes_loopback_is_the_hosts_and_no_pods() {
    const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (pod, server) = (node.pod(10), node.pod(20));
    serve_tcp(&server.namespace, server.ip, 8443);
    serve_tcp(&pod.namespace, HOME, 443);
    let at = (HOME, 443, Protocol::Tcp, Scope::Inside);
    balanced::set(node, balanced::service(at, &[(server.ip, 8443)]));
    let seen_by_server = tcp(&node.namespace, HOME, 443).unwrap();
    assert_eq!(seen_by_server, IpAddr::from(node.config.router_ip));
    assert_eq!(tcp(&pod.namespace, HOME, 443).unwrap(), IpAddr::from(HOME));
}
