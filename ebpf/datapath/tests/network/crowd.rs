//! A pod that fills a table which all pods of its node share, and what the others notice of it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use aya::maps::{HashMap, Map, MapData};
use datapath::{Collected, Datapath, GaveWay};
use datapath_abi::FLOWS;
use datapath_abi::flow::{Key, State};
use nix::time::{ClockId, clock_gettime};

use crate::cluster::{Cluster, Node, OUTSIDE, Pod};
use crate::traffic::{echo, open_tcp, serve_tcp};

/// Puts connections of a pod into its node's table that nobody has answered; `round` tells them from others.
fn begin(node: &Node, pod: &Pod, round: u32, many: u32) {
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/flows-v{FLOWS}/cilium_ct4_global"));
    let (source, identity) = (u32::from_ne_bytes(pod.ip.octets()), pod.endpoint.identity);
    node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        let mut map: HashMap<_, Key, State> = Map::LruHashMap(data).try_into().unwrap();
        let now = u64::try_from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().tv_sec()).unwrap();
        for n in 0..many {
            let destination = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n;
            let port = u16::try_from(round).unwrap();
            let (key, origin) = Key::of((source, 1), (destination.to_be(), port), 17, 0);
            let state = State {
                expires: (now + 600) * 1_000_000_000,
                created: now * 1_000_000_000,
                packets: [1, 0],
                bytes: [100, 0],
                reported: [0; 2],
                identity: [identity, 2],
                epoch: 0,
                flags: [0; 2],
                origin,
                bits: 0,
            };
            map.insert(key, state, 0).unwrap();
        }
    });
}

/// Sends one datagram from each of its ports to each of the host's outside, where nobody answers.
fn spray(pod: &Pod, round: u16, many: u16) {
    pod.namespace.run(move || {
        let socket = UdpSocket::bind(("0.0.0.0", 40_000 + round)).unwrap();
        for port in 1..=many {
            socket.send_to(b"?", (OUTSIDE, port)).unwrap();
        }
    });
}

fn collect(node: &Node) -> Collected {
    node.datapath(|datapath| datapath.collect_flows().unwrap())
}

fn is_crowded(node: &Node) -> bool {
    node.datapath(|datapath| datapath.is_crowded().unwrap())
}

fn used(node: &Node, map: &'static str) -> u32 {
    let all = node.datapath(|datapath| datapath.map_pressure().unwrap());
    all.iter().find(|one| one.name == map).unwrap().used
}

/// The only one who gave way.
fn only(collected: &Collected) -> &GaveWay {
    let [gave_way] = &collected.gave_way[..] else {
        panic!("{:?}", collected.gave_way);
    };
    gave_way
}

/// Whether the node still knows an idle connection as the one it was.
fn is_known(node: &Node, stream: &TcpStream) -> bool {
    let port = stream.local_addr().unwrap().port();
    let flows = node.datapath(|datapath| datapath.flows().unwrap());
    flows
        .iter()
        .any(|flow| flow.originator.port == port && flow.seen_reply)
}

#[test]
fn connections_of_one_pod_never_push_out_those_of_another() {
    const ROUND: u32 = 250_000;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (greedy, quiet, server) = (node.pod(10), node.pod(20), node.pod(30));
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&quiet.namespace, server.ip, 80).unwrap();
    echo(&stream, 1000);
    // More than the table holds, in rounds as the agent collects.
    for round in 1..=4 {
        begin(node, &greedy, round, ROUND);
        let collected = collect(node);
        assert!(is_known(node, &stream), "round {round}");
        if round == 1 {
            assert_eq!(collected.gave_way, [], "half of the table is free");
            continue;
        }
        let gave_way = only(&collected);
        assert_eq!(gave_way.holder, greedy.ip);
        assert!(gave_way.connections > u64::from(ROUND) / 2, "{gave_way:?}");
        assert_eq!(
            collected.alive.all(),
            u64::from(used(node, "cilium_ct4_global"))
        );
    }
    assert!(used(node, "cilium_ct4_global") <= 512 * 1024 / 8 * 7);
    echo(&stream, 1000);
}

#[test]
fn masqueraded_connections_of_one_pod_never_push_out_those_of_another() {
    const ROUND: u16 = 14_000;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (greedy, quiet) = (node.pod(10), node.pod(20));
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    let (stream, _) = open_tcp(&quiet.namespace, OUTSIDE, 80).unwrap();
    // Twice what the table holds, in rounds as the agent collects.
    for round in 1..=5 {
        spray(&greedy, round, ROUND);
        assert_eq!(is_crowded(node), round > 1, "round {round}");
        let collected = collect(node);
        if round == 1 {
            assert_eq!(collected.gave_way, [], "half of the table is free");
            continue;
        }
        let gave_way = only(&collected);
        assert_eq!(gave_way.holder, greedy.ip);
        assert!(gave_way.translations > 0, "{gave_way:?}");
        assert!(used(node, "cilium_snat") <= 64 * 1024 / 8 * 7);
    }
    // Under another port it would be a stranger's to the server.
    echo(&stream, 1000);
}

/// Faster than anybody collects: then the kernel forgets, and what is used comes last.
#[test]
fn a_masqueraded_connection_that_is_used_outlives_a_flood_that_nobody_collects() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (greedy, quiet) = (node.pod(10), node.pod(20));
    serve_tcp(&cluster.outside, OUTSIDE, 80);
    let (mut stream, _) = open_tcp(&quiet.namespace, OUTSIDE, 80).unwrap();
    for round in 1..=50 {
        spray(&greedy, round, 2000);
        stream.write_all(b"!").unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
    }
}
