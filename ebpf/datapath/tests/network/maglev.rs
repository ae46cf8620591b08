//! Tables of backends as the agent writes them, and what is left of them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use datapath::{Datapath, Error, Frontend, Maglev, Protocol, Scope, Service};
use datapath_abi::FORMAT;
use datapath_abi::maglev::{Chunk, MAX_CHUNKS, SLOTS_PER_CHUNK};
use datapath_abi::service::{Backend, Member, Slot};

use crate::balanced::{self, set};
use crate::cluster::{Cluster, Node, OUTSIDE};
use crate::namespace::Namespace;

/// An address that no host has; the outside knows a way to it.
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const PORT: u16 = 80;
const TABLES: &str = "cilium_lb4_maglev";
const BACKENDS: &str = "cilium_lb4_backends";
const MEMBERS: &str = "cilium_lb4_members";
/// Of a table of 1021 slots.
const CHUNKS: u32 = 3;

fn maglev() -> Option<Maglev> {
    Maglev::new(1021, *b"of a cluster")
}

fn service(backends: &[(Ipv4Addr, u16)]) -> Service {
    let at = (EXTERNAL, PORT, Protocol::Udp, Scope::Outside);
    Service {
        maglev: maglev(),
        ..balanced::service(at, backends)
    }
}

/// Pods of both nodes.
fn backends() -> Vec<(Ipv4Addr, u16)> {
    let pod = |number: u8| Ipv4Addr::new(10, 244, 1 + number % 2, 20 + number);
    (0..6).map(|number| (pod(number), 53)).collect()
}

fn used(node: &Node, name: &'static str) -> u32 {
    let all = node.datapath(|datapath| datapath.map_pressure().unwrap());
    all.iter().find(|map| map.name == name).unwrap().used
}

fn number(node: &Node) -> u32 {
    node.datapath(|datapath| datapath.numbered_services().unwrap()[0].0)
}

/// Works on a map that the agent fills.
fn map<K: Pod, V: Pod, T: Send + 'static>(
    node: &Node,
    name: &str,
    work: impl FnOnce(&mut HashMap<MapData, K, V>) -> T + Send + 'static,
) -> T {
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/maps-v{FORMAT}/{name}"));
    node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        work(&mut Map::HashMap(data).try_into().unwrap())
    })
}

/// Sends from some ports to the service, and answers which backend a node has chosen for each.
fn chosen(outside: &Namespace, node: &Node) -> BTreeMap<u16, Ipv4Addr> {
    let via = node.config.node_ip;
    outside.ip(&format!("route replace {EXTERNAL} via {via}"));
    outside.run(|| {
        for n in 0..40 {
            let socket = UdpSocket::bind(("0.0.0.0", 20_000 + n)).unwrap();
            socket.send_to(b"?", (EXTERNAL, PORT)).unwrap();
        }
    });
    let known = || {
        let flows = node.datapath(|datapath| datapath.flows().unwrap());
        let asked = flows.into_iter().filter(|flow| {
            flow.originator.ip == OUTSIDE && (20_000..20_040).contains(&flow.originator.port)
        });
        let chosen = asked.map(|flow| (flow.originator.port, flow.responder.ip));
        chosen.collect::<BTreeMap<u16, Ipv4Addr>>()
    };
    // Datagrams take their time.
    let patience = (0..100).map(|_| sleep(Duration::from_millis(20)));
    let mut tries = patience.map(|()| known());
    tries.find(|known| known.len() == 40).unwrap_or_default()
}

#[test]
fn two_nodes_send_a_client_to_the_same_endpoint() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let pods = [
        node.pod(20),
        other.pod(21),
        node.pod(22),
        other.pod(23),
        node.pod(24),
        other.pod(25),
    ];
    let mut backends = pods.each_ref().map(|pod| (pod.ip, 53));
    set(node, service(&backends));
    backends.reverse();
    set(other, service(&backends));
    let here = chosen(&cluster.outside, node);
    assert_eq!(here.len(), 40);
    assert_eq!(chosen(&cluster.outside, other), here);
    for (ip, _) in backends {
        assert!(here.values().any(|chosen| *chosen == ip), "{ip}");
    }
}

#[test]
fn a_table_goes_with_its_generation() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let frontend: Frontend = service(&[]).frontend;
    set(node, service(&backends()));
    let first = number(node);
    set(node, service(&backends()));
    assert_eq!((number(node), used(node, TABLES)), (first, CHUNKS));
    for changed in [
        service(&backends()[1..]),
        Service {
            maglev: Maglev::new(1021, *b"another seed"),
            ..service(&backends())
        },
    ] {
        let before = number(node);
        set(node, changed);
        assert_ne!(number(node), before);
        assert_eq!(used(node, TABLES), CHUNKS);
    }
    let plain = Service {
        maglev: None,
        ..service(&backends())
    };
    set(node, plain);
    assert_eq!(used(node, TABLES), 0);
    set(node, service(&backends()));
    node.datapath(move |datapath| datapath.remove_service(frontend).unwrap());
    for name in [TABLES, BACKENDS] {
        assert_eq!(used(node, name), 0, "{name}");
    }
}

#[test]
fn when_tables_find_no_room_the_service_stays_as_it_was_and_nothing_is_left_of_the_attempt() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    set(node, service(&backends()));
    let room = u32::try_from(MAX_CHUNKS).unwrap() - CHUNKS - 1;
    map(node, TABLES, move |tables: &mut HashMap<_, Slot, Chunk>| {
        let chunk = Chunk {
            backends: [0; SLOTS_PER_CHUNK],
        };
        for index in 0..room {
            let generation = u32::MAX;
            tables.insert(Slot { generation, index }, chunk, 0).unwrap();
        }
    });
    let before = [TABLES, BACKENDS].map(|name| used(node, name));
    let changed = service(&backends()[1..]);
    for _ in 0..2 {
        let changed = changed.clone();
        let error = node.datapath(move |datapath| datapath.upsert_service(&changed).unwrap_err());
        assert!(matches!(error, Error::MapFull { map: TABLES }), "{error}");
        assert_eq!([TABLES, BACKENDS].map(|name| used(node, name)), before);
    }
    let all = node.datapath(|datapath| datapath.services().unwrap());
    assert_eq!(all, [service(&backends())]);
}

#[test]
fn what_an_agent_left_that_ended_halfway_is_removed_by_the_next_one() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    set(node, service(&backends()));
    let names = [TABLES, BACKENDS];
    let before = names.map(|name| used(node, name));
    let generation = number(node) + 1;
    let slot = Slot {
        generation,
        index: 0,
    };
    let chunk = Chunk {
        backends: [0; SLOTS_PER_CHUNK],
    };
    let backend = map(
        node,
        BACKENDS,
        move |all: &mut HashMap<_, Slot, Backend>| {
            let (_, backend) = all.iter().next().unwrap().unwrap();
            all.insert(slot, backend, 0).unwrap();
            backend
        },
    );
    let member = Member {
        generation,
        backend,
    };
    map(node, TABLES, move |all: &mut HashMap<_, Slot, Chunk>| {
        all.insert(slot, chunk, 0).unwrap();
    });
    map(node, MEMBERS, move |all: &mut HashMap<_, Member, u32>| {
        all.insert(member, 1, 0).unwrap();
    });
    node.stop();
    node.start();
    assert_eq!(names.map(|name| used(node, name)), before);
    map(node, MEMBERS, move |all: &mut HashMap<_, Member, u32>| {
        assert_eq!(all.keys().count(), backends().len());
        assert!(all.get(&member, 0).is_err());
    });
    let all = node.datapath(|datapath| datapath.services().unwrap());
    assert_eq!(all, [service(&backends())]);
}
