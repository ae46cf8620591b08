//! Which backend who asks from outside meets.

use std::collections::BTreeSet;

use datapath::{Backend, Maglev};
use datapath_abi::maglev::{Chunk, SLOTS_PER_CHUNK, of_connection};
use datapath_abi::nat::{Target, Tuple};
use datapath_abi::service::{self as abi, Affinity, Client, Frontend, Member, OUTSIDE, Slot};

use crate::frame::{Frame, ip, see, tcp, tcp_flags, udp};
use crate::node::{NEIGHBOUR, NODE, Node, POD, REDIRECTED, WORLD, address, to_address};
use crate::shared;

const EXTERNAL: &str = "203.0.113.7";
const TCP: u8 = 6;
const UDP: u8 = 17;
const ACK: u8 = 0x10;
const CLIENTS: u16 = 300;

fn maglev() -> Option<Maglev> {
    Maglev::new(1021, *b"of a cluster")
}

/// Many, told apart by their ports.
fn backends() -> Vec<Backend> {
    let at = |port| Backend {
        ip: ip(NEIGHBOUR),
        port,
    };
    (1..=10).map(at).collect()
}

/// Gives a node a service that is asked from outside.
struct Outside<'a> {
    node: &'a mut Node,
    at: &'a str,
    protocol: u8,
    generation: u32,
    affinity_seconds: u32,
}

fn outside<'a>(node: &'a mut Node, at: &'a str) -> Outside<'a> {
    Outside {
        node,
        at,
        protocol: TCP,
        generation: 1,
        affinity_seconds: 0,
    }
}

impl Outside<'_> {
    fn set(self, backends: &[Backend], maglev: Option<Maglev>) {
        let generation = self.generation;
        for (index, backend) in (0..).zip(backends) {
            let backend = abi::Backend {
                address: to_address(backend.ip),
                port: backend.port.to_be(),
                pad: [0; 2],
            };
            let slot = Slot { generation, index };
            let mut all = self.node.hash::<Slot, abi::Backend>("cilium_lb4_backends");
            all.insert(slot, backend, 0).unwrap();
            let member = Member {
                generation,
                backend,
            };
            let mut members = self.node.hash::<Member, u32>("cilium_lb4_members");
            members.insert(member, 1, 0).unwrap();
        }
        let table = maglev.map(|maglev| maglev.table(backends));
        let chunks = table.iter().flat_map(|table| table.chunks(SLOTS_PER_CHUNK));
        for (index, slots) in (0..).zip(chunks) {
            let mut chunk = Chunk {
                backends: [0; SLOTS_PER_CHUNK],
            };
            chunk.backends[..slots.len()].copy_from_slice(slots);
            let slot = Slot { generation, index };
            let mut all = self.node.hash::<Slot, Chunk>("cilium_lb4_maglev");
            all.insert(slot, chunk, 0).unwrap();
        }
        let service = abi::Service {
            generation,
            count: u32::try_from(backends.len()).unwrap(),
            affinity_seconds: self.affinity_seconds,
            flags: 0,
            slots: maglev.map_or(0, Maglev::slots),
            pad: 0,
            key: KEY,
        };
        let frontend = Frontend {
            address: address(self.at),
            port: 80_u16.to_be(),
            protocol: self.protocol,
            scope: OUTSIDE,
        };
        let mut services = self
            .node
            .hash::<Frontend, abi::Service>("cilium_lb4_services");
        services.insert(frontend, service, 0).unwrap();
    }
}

/// As [`Maglev::new`] makes it of the seed.
const KEY: [u64; 2] = [
    u64::from_le_bytes(*b"of a clu"),
    u32::from_le_bytes(*b"ster") as u64,
];

/// The port of the backend that a packet goes to.
fn met(node: &mut Node, frame: &Frame) -> u16 {
    let outcome = node.run("from_netdev", frame);
    assert_eq!(outcome.verdict, REDIRECTED, "{outcome:?}");
    let (to, port) = see(&outcome.frame).destination;
    assert_eq!(to, NEIGHBOUR);
    port
}

/// Of each client the backend it meets with a new connection.
fn all_met(node: &mut Node, at: &str) -> Vec<u16> {
    let frames = (0..CLIENTS).map(|n| tcp((WORLD, 20_000 + n), (at, 80)));
    frames.map(|frame| met(node, &frame)).collect()
}

fn forget(node: &mut Node) {
    let mut known = node.hash::<Tuple, Target>("cilium_ct_service");
    let keys: Vec<Tuple> = known.keys().collect::<Result<_, _>>().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        known.remove(&key).unwrap();
    }
}

fn forget_affinity(node: &mut Node) {
    let mut known = node.hash::<Client, Affinity>("cilium_lb4_affinity");
    let keys: Vec<Client> = known.keys().collect::<Result<_, _>>().unwrap();
    for key in keys {
        known.remove(&key).unwrap();
    }
}

#[test]
fn a_connection_meets_the_same_backend_on_every_node_and_after_a_node_has_forgotten_it() {
    let mut node = Node::new();
    outside(&mut node, EXTERNAL).set(&backends(), maglev());
    let first = all_met(&mut node, EXTERNAL);
    forget(&mut node);
    assert_eq!(all_met(&mut node, EXTERNAL), first);
    // Also in the middle of a connection.
    forget(&mut node);
    let later = tcp_flags((WORLD, 20_000), (EXTERNAL, 80), ACK);
    assert_eq!(met(&mut node, &later), first[0]);

    let mut other = Node::on(shared::take_other());
    let reversed: Vec<Backend> = backends().into_iter().rev().collect();
    let mut there = outside(&mut other, EXTERNAL);
    there.generation = 77;
    there.set(&reversed, maglev());
    assert_eq!(all_met(&mut other, EXTERNAL), first);
}

#[test]
fn the_ports_of_a_client_are_spread_over_all_backends_but_those_of_one_with_affinity_are_not() {
    let mut node = Node::new();
    outside(&mut node, EXTERNAL).set(&backends(), maglev());
    let every = all_met(&mut node, EXTERNAL);
    for backend in backends() {
        let clients = every.iter().filter(|port| **port == backend.port).count();
        assert!((10..=60).contains(&clients), "{clients} of {CLIENTS}");
    }
    let mut kept = outside(&mut node, NODE);
    (kept.affinity_seconds, kept.generation) = (60, 2);
    kept.set(&backends(), maglev());
    let all = all_met(&mut node, NODE);
    let distinct: BTreeSet<u16> = all.iter().copied().collect();
    assert_eq!(distinct.len(), 1);

    // Another node has never seen the client, and its node port is at another address.
    let mut other = Node::on(shared::take_other());
    let mut there = outside(&mut other, EXTERNAL);
    there.affinity_seconds = 60;
    there.set(&backends(), maglev());
    for port in 1..=20 {
        let known = other.hash::<Client, Affinity>("cilium_lb4_affinity");
        assert_eq!(known.keys().count(), 0);
        let frame = tcp((WORLD, port), (EXTERNAL, 80));
        assert_eq!(met(&mut other, &frame), all[0]);
        forget_affinity(&mut other);
    }
}

#[test]
fn a_client_with_affinity_stays_where_it_was_though_the_table_names_another() {
    let mut node = Node::new();
    let mut kept = outside(&mut node, EXTERNAL);
    kept.affinity_seconds = 60;
    kept.set(&backends(), maglev());
    let named = all_met(&mut node, EXTERNAL)[0];
    let other = backends().into_iter().find(|one| one.port != named);
    let mut affinity = node.hash::<Client, Affinity>("cilium_lb4_affinity");
    let (client, value) = affinity.iter().next().unwrap().unwrap();
    let backend = abi::Backend {
        port: other.unwrap().port.to_be(),
        ..value.backend
    };
    let moved = Affinity { backend, ..value };
    affinity.insert(client, moved, 0).unwrap();
    assert_ne!(all_met(&mut node, EXTERNAL)[0], named);
}

#[test]
fn when_a_backend_goes_few_clients_of_the_others_move() {
    let mut node = Node::new();
    outside(&mut node, EXTERNAL).set(&backends(), maglev());
    let before = all_met(&mut node, EXTERNAL);
    forget(&mut node);
    let mut changed = outside(&mut node, EXTERNAL);
    changed.generation = 2;
    changed.set(&backends()[1..], maglev());
    let after = all_met(&mut node, EXTERNAL);
    let gone = backends()[0].port;
    assert!(before.contains(&gone) && !after.contains(&gone));
    let both = before.iter().zip(&after);
    let moved = both.filter(|(before, after)| **before != gone && before != after);
    let moved = moved.count();
    assert!(moved < usize::from(CLIENTS) / 10, "{moved} of {CLIENTS}");
}

#[test]
fn a_flow_of_datagrams_keeps_a_backend_that_still_serves_though_the_table_names_another() {
    let mut node = Node::new();
    let frame = udp((WORLD, 20_000), (EXTERNAL, 80));
    let one = &backends()[..1];
    for (generation, backends, maglev) in [(1, one, None), (2, &backends()[..], maglev())] {
        let mut service = outside(&mut node, EXTERNAL);
        (service.protocol, service.generation) = (UDP, generation);
        service.set(backends, maglev);
        assert_eq!(met(&mut node, &frame), one[0].port);
    }
    forget(&mut node);
    assert_ne!(met(&mut node, &frame), one[0].port);
}

#[test]
fn without_maglev_who_asks_again_meets_any_backend() {
    let mut node = Node::new();
    outside(&mut node, EXTERNAL).set(&backends(), None);
    let first = all_met(&mut node, EXTERNAL);
    forget(&mut node);
    let second = all_met(&mut node, EXTERNAL);
    let both = first.iter().zip(&second);
    let moved = both.filter(|(first, second)| first != second).count();
    assert!(moved > usize::from(CLIENTS) / 2, "{moved} of {CLIENTS}");
}

#[test]
fn pods_are_never_balanced_by_a_table() {
    let mut node = Node::new();
    node.service((EXTERNAL, 80), TCP, &[(NEIGHBOUR, 1), (NEIGHBOUR, 2)], 0);
    let mut services = node.hash::<Frontend, abi::Service>("cilium_lb4_services");
    let all: Vec<_> = services.iter().collect::<Result<_, _>>().unwrap();
    for (frontend, service) in all {
        let slots = 1021;
        let tabled = abi::Service { slots, ..service };
        services.insert(frontend, tabled, 0).unwrap();
    }
    let outcome = node.run("from_container", &tcp((POD, 40_000), (EXTERNAL, 80)));
    let (to, _) = see(&outcome.frame).destination;
    assert_eq!(
        to, NEIGHBOUR,
        "nobody looked for the table that is not there"
    );
}

#[test]
fn the_programs_look_into_the_slot_that_the_hash_names() {
    let mut node = Node::new();
    outside(&mut node, EXTERNAL).set(&backends(), maglev());
    let table = maglev().unwrap().table(&backends());
    let source = address(WORLD).to_v4();
    let named = (0..CLIENTS).map(|n| {
        let ports = [(20_000 + n).to_be(), 80_u16.to_be()];
        let slot = of_connection(KEY, source, ports, TCP) % table.len() as u64;
        backends()[usize::from(table[usize::try_from(slot).unwrap()])].port
    });
    assert_eq!(all_met(&mut node, EXTERNAL), named.collect::<Vec<u16>>());
}
