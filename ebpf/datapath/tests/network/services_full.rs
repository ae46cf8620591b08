//! Services that are many, and that find no room.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use datapath::{Datapath, MapOperations, Protocol, Scope, Service};
use datapath_abi::service::MAX_SERVICES;

use crate::balanced;
use crate::cluster::{Cluster, Node};
use crate::traffic::{ask_numbers, serve_numbers, serve_tcp, tcp};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

fn service(port: u16, backends: impl IntoIterator<Item = (Ipv4Addr, u16)>) -> Service {
    let backends: Vec<_> = backends.into_iter().collect();
    balanced::service((VIP, port, Protocol::Tcp, Scope::Inside), &backends)
}

/// Endpoints nobody has.
fn crowd(many: u16) -> impl Iterator<Item = (Ipv4Addr, u16)> {
    (0..many).map(|n| (Ipv4Addr::new(10, 244, 9, 9), 1000 + n))
}

fn refusal(node: &Node, service: Service) -> Option<String> {
    node.datapath(move |datapath| {
        let refused = datapath.upsert_service(&service).err();
        refused.map(|error| error.to_string())
    })
}

/// Slots and members in the kernel.
fn rows(node: &Node) -> (u32, u32) {
    let all = node.datapath(|datapath| datapath.map_pressure().unwrap());
    let of = |name| all.iter().find(|map| map.name == name).unwrap().used;
    (of("cilium_lb4_backends"), of("cilium_lb4_members"))
}

/// Writes to the maps of services that the kernel did, or did not do.
fn writes(node: &Node, well: bool) -> u64 {
    let all = node.datapath(Datapath::map_operations);
    let of = |one: &&MapOperations| {
        let written = one.operation == "update" && one.well == well;
        written && one.map.starts_with("cilium_lb4_")
    };
    all.iter().filter(of).map(|one| one.number).sum()
}

#[test]
fn a_thousand_endpoints_all_get_connections() {
    const ENDPOINTS: u16 = 1000;
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let client = node.pod(10);
    let server = node.pod(20);
    let ports = 2000..2000 + ENDPOINTS;
    serve_numbers(&server.namespace, server.ip, ports.clone());
    balanced::set(node, service(80, ports.map(|port| (server.ip, port))));
    let seen: BTreeSet<u16> = ask_numbers(&client.namespace, VIP, 80, 8000)
        .into_iter()
        .collect();
    // Of a fair choice each is missed with e^-8: a third of one is missed on average, and more than five once in millions.
    assert!(seen.len() + 5 >= usize::from(ENDPOINTS), "{}", seen.len());
}

#[test]
fn a_service_that_finds_no_room_is_refused_by_name_of_the_map_and_the_others_stay() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let client = node.pod(10);
    let server = node.pod(20);
    serve_tcp(&server.namespace, server.ip, 8080);
    balanced::set(node, service(80, [(server.ip, 8080)]));
    let large = u16::try_from(MAX_SERVICES / 2).unwrap();
    balanced::set(node, service(81, crowd(large)));
    let before = rows(node);
    // Others may write meanwhile: the counters are the process's.
    assert!(writes(node, true) >= u64::from(large));
    for _ in 0..3 {
        let refusals = writes(node, false);
        let refused = refusal(node, service(82, crowd(large))).unwrap();
        assert!(refused.contains("is full"), "{refused}");
        assert!(refused.contains("cilium_lb4_"), "{refused}");
        assert!(writes(node, false) > refusals);
        assert_eq!(rows(node), before, "what was refused left something behind");
    }
    // A change that finds no room leaves the service as it was.
    let refused = refusal(node, service(80, crowd(large)));
    assert!(refused.is_some());
    tcp(&client.namespace, VIP, 80).unwrap();
    node.datapath(|datapath| {
        let frontend = service(81, []).frontend;
        datapath.remove_service(frontend).unwrap();
    });
    balanced::set(node, service(82, crowd(large)));
    tcp(&client.namespace, VIP, 80).unwrap();
}
