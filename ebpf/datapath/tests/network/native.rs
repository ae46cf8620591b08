//! Two nodes without a tunnel between them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use datapath::{
    Datapath, Direction, Error, IpEntry, Node as NodeEntry, PolicyEntry, PolicyKey, Protocol,
    Routing, Scope, Verdict,
};
use datapath_abi::reason;

use crate::balanced::{self, set};
use crate::cluster::{ALLOW_ALL, Cluster, OUTSIDE, Services, rules};
use crate::namespace::Namespace;
use crate::ownership::tunnel_packet;
use crate::traffic::{echo, open_tcp, ping, send_frame, serve_tcp, serve_udp, tcp, udp};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
const NODE_PORT: u16 = 30_080;

#[test]
fn pods_of_two_nodes_talk_in_packets_of_the_networks_own_size_and_see_each_others_addresses() {
    let cluster = Cluster::native();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    serve_udp(&server.namespace, server.ip, 53);
    assert_eq!(cluster.nodes[0].datapath(Datapath::pod_mtu), 1500);
    let (stream, seen) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    assert_eq!(seen, IpAddr::from(client.ip));
    echo(&stream, 16 << 20);
    for bytes in [100, 1500 - 28, 9000] {
        let (from, seen, length) = udp(&client.namespace, server.ip, 53, bytes).unwrap();
        let expected = (server.ip.into(), client.ip.into(), bytes);
        assert_eq!((from.ip(), seen, length), expected);
    }
    assert!(ping(&client.namespace, server.ip, 1500 - 28));
    for node in &cluster.nodes {
        assert!(!node.namespace.ip("-br link").contains("cilium_vxlan"));
    }
}

#[test]
fn a_sender_whose_link_takes_more_than_the_network_learns_what_fits() {
    let cluster = Cluster::native();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_udp(&server.namespace, server.ip, 53);
    for (node, pod, last) in [(0, &client, 10), (1, &server, 20)] {
        let host = &cluster.nodes[node].namespace;
        host.ip(&format!("link set lxc{last} mtu 3000"));
        pod.namespace.ip("link set eth0 mtu 3000");
    }
    assert_eq!(udp(&client.namespace, server.ip, 53, 2000).unwrap().2, 2000);
    let told = cluster.nodes[0].count(reason::FRAGMENTATION_NEEDED, Direction::Egress);
    assert_eq!(told, 1);
    let route = client.namespace.ip(&format!("route get {}", server.ip));
    assert!(route.contains("mtu 1500"), "{route}");
}

#[test]
fn hosts_and_pods_of_other_nodes_reach_each_other_and_see_who_it_is() {
    let cluster = Cluster::native();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let far = other.pod(20);
    serve_tcp(&far.namespace, far.ip, 80);
    let seen = tcp(&node.namespace, far.ip, 80).unwrap();
    assert_eq!(seen, IpAddr::from(node.config.node_ip));
    assert!(ping(&node.namespace, far.ip, 56));
    for (ip, port) in [(node.config.node_ip, 6443), (node.config.router_ip, 4240)] {
        serve_tcp(&node.namespace, ip, port);
        let seen = tcp(&far.namespace, ip, port).unwrap();
        assert_eq!(seen, IpAddr::from(far.ip), "{ip}");
        assert!(ping(&far.namespace, ip, 56));
        let host = tcp(&other.namespace, ip, port).unwrap();
        assert_eq!(host, IpAddr::from(other.config.node_ip), "{ip}");
        assert!(ping(&other.namespace, ip, 56));
    }
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    let seen = tcp(&far.namespace, OUTSIDE, 80).unwrap();
    assert_eq!(seen, IpAddr::from(other.config.node_ip));
}

#[test]
fn the_policy_of_the_pod_knows_pods_of_other_nodes_by_their_identity() {
    const FRIEND: u32 = 1010;
    let cluster = Cluster::native();
    let [near, far] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (friend, stranger) = (near.pod(10), near.pod(11));
    let server = far.pod(20);
    serve_tcp(&server.namespace, server.ip, 80);
    let known = [(friend.ip, FRIEND), (stranger.ip, 1011)];
    let node_ip = near.config.node_ip;
    far.datapath(move |datapath| {
        let key = PolicyKey {
            identity: FRIEND,
            direction: Direction::Ingress,
            protocol: 0,
            port: 0,
            port_bits: 0,
        };
        let allow = PolicyEntry {
            verdict: Verdict::Allow,
            cookie: 2,
        };
        let mut entries: BTreeMap<_, _> = rules(Verdict::DefaultDeny);
        entries.insert(key, allow);
        datapath.set_policy(ALLOW_ALL, &entries).unwrap();
        for (ip, identity) in known {
            let tunnel = Some(node_ip);
            datapath
                .upsert_ip(ip.into(), IpEntry { identity, tunnel })
                .unwrap();
        }
        datapath.new_epoch().unwrap();
    });
    let (stream, _) = open_tcp(&friend.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    let before = far.count(reason::POLICY_DENIED, Direction::Ingress);
    assert!(tcp(&stranger.namespace, server.ip, 80).is_err());
    assert!(far.count(reason::POLICY_DENIED, Direction::Ingress) > before);
}

#[test]
fn services_are_reached_by_socket_and_by_packet() {
    for services in [Services::BySocket, Services::ByPacket] {
        let cluster = Cluster::routed(Routing::Native, services);
        let [node, other] = &cluster.nodes[..] else {
            panic!("two nodes")
        };
        let (client, server) = (node.pod(10), other.pod(20));
        serve_tcp(&server.namespace, server.ip, 8080);
        serve_tcp(&other.namespace, other.config.node_ip, 6443);
        for (ip, port) in [(server.ip, 8080), (other.config.node_ip, 6443)] {
            let at = (VIP, 80, Protocol::Tcp, Scope::Inside);
            set(node, balanced::service(at, &[(ip, port)]));
            let (stream, seen) = open_tcp(&client.namespace, VIP, 80).unwrap();
            assert_eq!(seen, IpAddr::from(client.ip), "{ip}");
            assert_eq!(stream.peer_addr().unwrap(), SocketAddr::from((VIP, 80)));
            echo(&stream, 2 << 20);
        }
    }
}

#[test]
fn a_node_port_is_answered_by_a_pod_of_another_node_as_the_nodes_own_client() {
    let cluster = Cluster::native();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let server = other.pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    let at = (
        node.config.node_ip,
        NODE_PORT,
        Protocol::Tcp,
        Scope::Outside,
    );
    set(node, balanced::service(at, &[(server.ip, 8080)]));
    // From outside, and from a pod next to the backend.
    let neighbour = other.pod(21);
    for from in [&cluster.outside, &neighbour.namespace] {
        let (stream, seen) = open_tcp(from, node.config.node_ip, NODE_PORT).unwrap();
        assert_eq!(seen, IpAddr::from(node.config.node_ip));
        echo(&stream, 4 << 20);
        let collected = node.datapath(|datapath| datapath.collect_flows().unwrap());
        assert_eq!(collected.translations, 0, "{collected:?}");
        echo(&stream, 1 << 20);
    }
    let near = node.pod(30);
    serve_tcp(&near.namespace, near.ip, 8080);
    set(node, balanced::service(at, &[(near.ip, 8080)]));
    let (stream, seen) = open_tcp(&neighbour.namespace, node.config.node_ip, NODE_PORT).unwrap();
    assert_eq!(seen, IpAddr::from(neighbour.ip));
    echo(&stream, 1 << 20);
}

#[test]
fn a_socket_connected_to_a_pod_that_went_away_hears_of_it() {
    let cluster = Cluster::native();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let client = node.pod(10);
    let gone = Ipv4Addr::new(10, 244, 2, 99);
    for from in [&client.namespace, &node.namespace] {
        let said = from.run(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            socket.connect((gone, 1053)).unwrap();
            socket.send(b"?").unwrap();
            socket.recv(&mut [0; 9]).unwrap_err()
        });
        assert_eq!(said.kind(), ErrorKind::ConnectionRefused, "{said}");
    }
    assert_eq!(other.count(reason::UNKNOWN_TARGET, Direction::Ingress), 2);
}

/// The Ethernet address of a namespace's `eth0`.
fn mac(namespace: &Namespace) -> Vec<u8> {
    let line = namespace.ip("-o link show dev eth0");
    let mut words = line.split_whitespace();
    words.find(|word| *word == "link/ether").unwrap();
    let bytes = words.next().unwrap().split(':');
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn a_host_on_the_wire_cannot_speak_for_a_pod_of_the_node_nor_from_a_vlan_for_any() {
    const TAG: [u8; 4] = [0x81, 0x00, 0x00, 0x05];
    let cluster = Cluster::native();
    let node = &cluster.nodes[0];
    let target = node.pod(20);
    let macs = [mac(&node.namespace), mac(&cluster.outside)].concat();
    let count = |reason| node.count(reason, Direction::Ingress);
    let send = |source: [u8; 4], tag: &[u8]| {
        let ping = &tunnel_packet(source.into(), target.ip)[8..];
        send_frame(&cluster.outside, [&macs, tag, &ping[12..]].concat());
        (count(reason::INVALID_SOURCE_IP), count(reason::FORWARDED))
    };
    let (own, remote) = ([10, 244, 1, 66], [10, 244, 2, 66]);
    assert_eq!(send(own, &[]), (1, 0));
    assert_eq!(send(own, &TAG), (2, 0));
    assert_eq!(send(remote, &TAG), (3, 0));
    // What is believed, and why all of this network must be trusted: see the threat model.
    assert_eq!(send(remote, &[]), (3, 1));
}

#[test]
fn a_node_that_is_behind_a_router_is_refused_by_name() {
    let cluster = Cluster::native();
    let node = &cluster.nodes[0];
    let far = Ipv4Addr::new(192, 0, 2, 7);
    let entry = NodeEntry {
        ip: far,
        pod_cidrs: vec!["10.244.7.0/24".parse().unwrap()],
    };
    let error = node
        .datapath(move |datapath| datapath.upsert_node(&entry))
        .unwrap_err();
    assert!(matches!(error, Error::NotDirect { node, .. } if node == far));
    assert!(!node.namespace.ip("route show").contains("10.244.7."));
}

#[test]
fn a_route_that_was_lost_shows_and_goes_with_its_node() {
    let cluster = Cluster::native();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let range = other.config.pod_cidr;
    let line = format!("{range} via {} dev eth0", other.config.node_ip);
    let routed = || node.namespace.ip("route show").contains(&line);
    let ranges = || node.datapath(|datapath| datapath.nodes().unwrap()[0].pod_cidrs.clone());
    assert!(routed());
    assert_eq!(ranges(), [range]);
    node.namespace.ip(&format!("route del {range}"));
    assert_eq!(ranges(), []);
    cluster.introduce();
    assert!(routed());
    let gone = other.config.node_ip;
    node.datapath(move |datapath| datapath.remove_node(gone).unwrap());
    assert!(!routed());
}

#[test]
fn a_network_changes_its_routing_when_its_agents_start_anew() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    for routing in [Routing::Native, Routing::Tunnel] {
        for node in &mut cluster.nodes {
            node.stop();
            node.config.routing = routing;
            node.start();
        }
        cluster.introduce();
        let (stream, seen) = open_tcp(&client.namespace, server.ip, 80).unwrap();
        assert_eq!(seen, IpAddr::from(client.ip));
        echo(&stream, 4 << 20);
        let links = cluster.nodes[0].namespace.ip("-br link");
        assert_eq!(links.contains("cilium_vxlan"), routing == Routing::Tunnel);
    }
}

#[test]
fn the_routes_between_nodes_are_among_what_an_agent_leaves() {
    let mut cluster = Cluster::native();
    let node = &mut cluster.nodes[0];
    node.stop();
    let named = node.clean();
    assert_eq!(named[0], "the route to pods in 10.244.2.0/24");
    let routes = node.namespace.ip("route show");
    assert!(!routes.contains("10.244."), "{routes}");
}
