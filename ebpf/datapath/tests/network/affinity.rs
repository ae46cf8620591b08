//! What Services remember of clients, in tables that everybody on the node shares.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use aya::maps::{HashMap, Map, MapData};
use datapath::{Protocol, Scope};
use datapath_abi::FLOWS;
use datapath_abi::address::Address;
use datapath_abi::service::{Affinity, Backend, Client, Frontend, INSIDE, MAX_CLIENTS};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::balanced;
use crate::cluster::{Cluster, Node, Pod};
use crate::traffic::{ask_numbers, echo, open_tcp, serve_numbers, serve_tcp, serve_udp, udp};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Of a pod that nobody has.
const STRANGER: u64 = u64::MAX;

/// A client of a Service of twenty endpoints that keeps it with one of them for an hour.
fn served() -> (Cluster, Pod, Pod) {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (client, server) = (node.pod(10), node.pod(20));
    let ports = 2000..2020;
    serve_numbers(&server.namespace, server.ip, ports.clone());
    let backends: Vec<_> = ports.map(|port| (server.ip, port)).collect();
    let at = (VIP, 80, Protocol::Tcp, Scope::Inside);
    let mut service = balanced::service(at, &backends);
    service.affinity_seconds = Some(3600);
    balanced::set(node, service);
    (cluster, client, server)
}

fn ask(client: &Pod, times: u32) -> Vec<u16> {
    let mut met = ask_numbers(&client.namespace, VIP, 80, times);
    met.dedup();
    met
}

fn with_table<T: Send + 'static>(
    node: &Node,
    function: impl FnOnce(HashMap<MapData, Client, Affinity>) -> T + Send + 'static,
) -> T {
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/flows-v{FLOWS}/cilium_lb4_affinity"));
    node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        function(Map::LruHashMap(data).try_into().unwrap())
    })
}

/// As if one pod had asked that many Services, from a number on.
fn crowd(node: &Node, from: u32, many: u32) {
    with_table(node, move |mut table| {
        on_every_processor(from..from + many, |n| {
            let frontend = Frontend {
                address: Address::v4(n),
                port: 80,
                protocol: 6,
                scope: INSIDE,
            };
            let client = Client {
                client: [STRANGER, 0],
                frontend,
                pad: 0,
            };
            let backend = Backend {
                address: Address::v4(n),
                port: 80,
                pad: [0; 2],
            };
            let affinity = Affinity {
                last_used: 0,
                backend,
                pad: 0,
            };
            table.insert(client, affinity, 0).unwrap();
        });
    });
}

/// The same share on each. One that adds nothing keeps what it added last out of reach of the others: the kernel's table has a list
/// per processor.
fn on_every_processor(numbers: Range<u32>, mut work: impl FnMut(u32)) {
    let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let all: Vec<usize> = (0..CpuSet::count())
        .filter(|processor| before.is_set(*processor).unwrap())
        .collect();
    let share = numbers.len().div_ceil(all.len());
    let numbers: Vec<u32> = numbers.collect();
    for (processor, numbers) in all.into_iter().zip(numbers.chunks(share)) {
        let mut only = CpuSet::new();
        only.set(processor).unwrap();
        sched_setaffinity(Pid::from_raw(0), &only).unwrap();
        numbers.iter().copied().for_each(&mut work);
    }
    sched_setaffinity(Pid::from_raw(0), &before).unwrap();
}

/// Whether the only other client is remembered.
fn remembers(node: &Node) -> bool {
    with_table(node, |table| {
        table.keys().any(|key| key.unwrap().client[0] != STRANGER)
    })
}

#[test]
fn a_client_that_a_crowd_had_forgotten_still_connects_and_stays_with_one_endpoint_from_then_on() {
    let (cluster, client, _server) = served();
    let node = &cluster.nodes[0];
    // The kernel's table holds on to whom it has met twice.
    ask(&client, 1);
    assert!(remembers(node));
    crowd(node, 0, 2 * room());
    assert!(!remembers(node), "nobody was forgotten");
    assert_eq!(ask(&client, 10).len(), 1);
    assert!(remembers(node));
}

#[test]
fn a_client_that_goes_on_asking_keeps_its_endpoint_while_others_crowd_the_table() {
    let (cluster, client, _server) = served();
    let node = &cluster.nodes[0];
    let first = ask(&client, 1);
    let step = room() / 64;
    for n in 0..4 * 64 {
        crowd(node, n * step, step);
        assert_eq!(ask(&client, 1), first, "after {} others", (n + 1) * step);
    }
}

fn room() -> u32 {
    u32::try_from(MAX_CLIENTS).unwrap()
}

#[test]
fn sockets_that_a_pods_many_sockets_had_forgotten_go_on_and_see_the_endpoint_as_their_peer() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (client, crowd, server) = (node.pod(10), node.pod(11), node.pod(20));
    serve_tcp(&server.namespace, server.ip, 8080);
    serve_udp(&server.namespace, server.ip, 1053);
    for (port, protocol, backend) in [(80, Protocol::Tcp, 8080), (53, Protocol::Udp, 1053)] {
        let at = (VIP, port, protocol, Scope::Inside);
        balanced::set(node, balanced::service(at, &[(server.ip, backend)]));
    }
    // Not asked for its peer yet: the kernel's table holds on to what was looked up.
    let (open, _) = open_tcp(&client.namespace, VIP, 80).unwrap();
    crowd.namespace.run(|| {
        on_every_processor(0..2 * room(), |_| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect((VIP, 53)).unwrap();
        });
    });
    assert_eq!(
        open.peer_addr().unwrap(),
        SocketAddr::from((server.ip, 8080))
    );
    echo(&open, 1 << 20);
    let (new, _) = open_tcp(&client.namespace, VIP, 80).unwrap();
    assert_eq!(new.peer_addr().unwrap(), SocketAddr::from((VIP, 80)));
    let (from, seen, _) = udp(&client.namespace, VIP, 53, 64).unwrap();
    assert_eq!(
        (from, seen),
        (SocketAddr::from((VIP, 53)), IpAddr::from(client.ip))
    );
}
