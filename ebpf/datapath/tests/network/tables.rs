//! The large tables: what is collected from them, how long that takes, and that nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use datapath::{Datapath, MapPressure, Verdict};
use datapath_abi::FLOWS;
use datapath_abi::flow::{Key, State};

use crate::cluster::{Cluster, Node, OUTSIDE, rules};
use crate::outside::{UDP_NODE_PORT, node_ports};
use crate::traffic::{ping, serve_udp, udp};

/// Puts connections into a node's table that end at `expires`.
fn fill(node: &Node, many: u32, expires: u64) {
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/flows-v{FLOWS}/cilium_ct4_global"));
    node.namespace.run(move || {
        let data = MapData::from_pin(path).unwrap();
        let mut map: HashMap<_, Key, State> = Map::LruHashMap(data).try_into().unwrap();
        for n in 0..many {
            let (key, origin) = Key::of((n, 1), (u32::MAX, 2), 17, 0);
            let state = State {
                expires,
                created: 1,
                packets: [1, 0],
                bytes: [100, 0],
                reported: [0; 2],
                identity: [1; 2],
                epoch: 0,
                flags: [0; 2],
                origin,
                bits: 0,
            };
            map.insert(key, state, 0).unwrap();
        }
    });
}

#[test]
fn translations_live_as_long_as_their_connections() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let client = node.pod(10);
    serve_udp(&cluster.outside, OUTSIDE, 53);
    let used = |node: &Node| {
        let all = node.datapath(|datapath| datapath.map_pressure().unwrap());
        let of = |name| all.iter().find(|map| map.name == name).unwrap().used;
        (of("cilium_ct4_global"), of("cilium_snat"))
    };
    udp(&client.namespace, OUTSIDE, 53, 100).unwrap();
    assert!(ping(&client.namespace, OUTSIDE, 56));
    assert_eq!(used(node), (2, 4));
    let kept = node.datapath(|datapath| datapath.collect_flows().unwrap());
    assert_eq!((kept.translations, used(node)), (0, (2, 4)));

    fill(node, 10_000, 1);
    let collected = node.datapath(|datapath| datapath.collect_flows().unwrap());
    assert_eq!(collected.deleted.other, 10_000);
    assert_eq!(used(node), (2, 4));

    assert_eq!(node.datapath(|datapath| datapath.flush_flows().unwrap()), 2);
    let collected = node.datapath(|datapath| datapath.collect_flows().unwrap());
    assert_eq!((collected.translations, used(node)), (4, (0, 0)));
    udp(&client.namespace, OUTSIDE, 53, 100).unwrap();
}

#[test]
fn choices_of_services_live_as_long_as_their_connections() {
    let cluster = Cluster::new();
    let (near, far) = (cluster.nodes[0].pod(20), cluster.nodes[1].pod(20));
    let node = &cluster.nodes[0];
    let ask = || udp(&cluster.outside, node.config.node_ip, UDP_NODE_PORT, 100).unwrap();
    let used = || {
        let all = node.datapath(|datapath| datapath.map_pressure().unwrap());
        let of = |map: &&MapPressure| map.name == "cilium_ct_service";
        all.iter().find(of).unwrap().used
    };
    let collect = || node.datapath(|datapath| datapath.collect_flows().unwrap().choices);
    for server in [&near, &far] {
        node_ports(node, server);
        ask();
        assert_eq!(used(), 2);
        assert_eq!([collect(), collect()], [0, 0]);
        node.datapath(|datapath| datapath.flush_flows().unwrap());
        // A packet may be between its choice and its connection.
        assert_eq!((collect(), used()), (0, 2));
        assert_eq!((collect(), used()), (2, 0));
        ask();
        node.datapath(|datapath| datapath.flush_flows().unwrap());
        assert_eq!([collect(), collect()], [0, 2]);
    }
}

#[test]
#[ignore = "a measurement"]
fn half_a_million_connections() {
    const MANY: u32 = 500_000;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let timed = |what: &str, function: fn(&dyn Datapath)| {
        let start = Instant::now();
        node.datapath(move |datapath| function(datapath));
        println!("{what:30} {:?}", start.elapsed());
    };
    fill(node, MANY, u64::MAX);
    timed("list", |datapath| drop(datapath.flows().unwrap()));
    timed("map pressure", |datapath| {
        drop(datapath.map_pressure().unwrap());
    });
    timed("collect, none ended", |datapath| {
        datapath.collect_flows().unwrap();
    });
    timed("flush", |datapath| {
        datapath.flush_flows().unwrap();
    });
    fill(node, MANY, 1);
    timed("collect, all ended", |datapath| {
        datapath.collect_flows().unwrap();
    });
    fill(node, MANY, u64::MAX);
    println!(
        "{:30} {:?}",
        "slowest change meanwhile",
        slowest_change(node)
    );
}

/// While all connections are listed again and again.
fn slowest_change(node: &Node) -> Duration {
    node.datapath(|datapath| {
        let done = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (listing, datapath) = (Arc::clone(&done), &datapath);
            scope.spawn(move || {
                for _ in 0..5 {
                    datapath.flows().unwrap();
                }
                listing.store(true, Ordering::Relaxed);
            });
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                datapath.set_policy(7, &rules(Verdict::Allow)).unwrap();
                slowest = slowest.max(start.elapsed());
            }
            slowest
        })
    })
}
