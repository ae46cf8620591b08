use std::net::Ipv4Addr;
use std::sync::Arc;

use cilium_api::EndpointState;
use cilium_cni::queue::Deletion;
use datapath::{Fake, Mac};

use super::*;
use crate::bell::Bells;
use crate::endpoints::local_identities;
use crate::ipam::Pool;
use crate::store::Store;

struct Node {
    folder: tempfile::TempDir,
    datapath: Arc<Fake>,
    endpoints: Endpoints,
    store: Store,
}

fn node() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let datapath = Arc::new(Fake::new());
    let store = Store::open(folder.path()).unwrap();
    let pool = Pool::new(
        vec!["10.244.1.0/24".parse().unwrap()],
        Ipv4Addr::new(10, 244, 1, 1),
    );
    let endpoints = Endpoints::new(pool, datapath.clone(), store.clone(), Bells::default(), 1);
    Node {
        folder,
        datapath,
        endpoints,
        store,
    }
}

fn endpoint(id: u16) -> Endpoint {
    Endpoint {
        id,
        attachment: AttachmentKey {
            container_id: format!("c{id}"),
            ifname: "eth0".to_owned(),
        },
        pod: None,
        ip: Ipv4Addr::new(10, 244, 1, u8::try_from(id).unwrap() + 10),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        host_mac: Mac([2, 0, 0, 0, 0, 2]),
        ifindex: u32::from(id) + 100,
        interface: format!("lxc{id}"),
        identity: NumericIdentity(300),
        labels: Vec::new(),
        policy: 2,
        state: EndpointState::Ready,
    }
}

fn link(id: u16, name: &str) -> Link {
    Link {
        index: u32::from(id) + 100,
        name: name.to_owned(),
        mac: Mac::default(),
        mtu: 1450,
        up: true,
        kind: None,
    }
}

#[test]
fn an_endpoint_whose_link_is_there_is_kept_and_one_whose_link_is_gone_is_dropped_everywhere() {
    let node = node();
    for id in [1, 2] {
        node.store.write_endpoint(&endpoint(id)).unwrap();
        node.datapath
            .upsert_endpoint(&endpoint(id).for_datapath())
            .unwrap();
    }
    let restored = restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    assert_eq!(restored.kept, 1);
    assert_eq!(restored.problems.len(), 1);
    assert!(
        restored.problems[0].contains("lxc2"),
        "{:?}",
        restored.problems
    );
    assert_eq!(node.endpoints.list(), [endpoint(1)]);
    assert_eq!(node.datapath.endpoints().unwrap().len(), 1);
    assert_eq!(node.store.load(), [endpoint(1)]);
}

#[test]
fn a_link_index_that_now_belongs_to_another_interface_is_not_the_endpoints_link() {
    let node = node();
    node.store.write_endpoint(&endpoint(1)).unwrap();
    let restored = restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxcother")],
    );
    assert_eq!(restored.kept, 0);
}

#[test]
fn pods_keep_running_when_the_state_folder_was_lost_but_the_datapath_was_not() {
    let node = node();
    node.datapath
        .upsert_endpoint(&endpoint(1).for_datapath())
        .unwrap();
    let restored = restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    assert_eq!(
        restored,
        Restored {
            kept: 1,
            problems: Vec::new()
        }
    );
    assert_eq!(node.endpoints.list()[0].ip, endpoint(1).ip);
    assert_eq!(
        node.datapath.endpoints().unwrap(),
        [endpoint(1).for_datapath()]
    );
}

/// As [`endpoint`], as far as the datapath says.
fn unnamed(id: u16) -> Endpoint {
    Endpoint {
        attachment: AttachmentKey {
            container_id: format!("unknown-{id}"),
            ifname: "eth0".to_owned(),
        },
        ..endpoint(id)
    }
}

/// A node that an agent of a later release ran on: nothing it wrote can be read.
fn rolled_back() -> Node {
    let node = node();
    let file = node.folder.path().join("endpoints/1.json");
    std::fs::write(file, r#"{"version": 99}"#).unwrap();
    node
}

#[test]
fn after_a_way_back_the_datapath_stands_in_for_what_the_later_release_wrote_at_every_start() {
    let node = rolled_back();
    let carried = endpoint(1).for_datapath();
    node.datapath.upsert_endpoint(&carried).unwrap();
    let restored = restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    assert_eq!((restored.kept, restored.problems), (1, Vec::new()));
    assert_eq!(node.endpoints.list(), [unnamed(1)]);
    assert!(node.store.is_of_later_release(1), "the file is as it was");
    let said = summary(&node.store.unread()).unwrap();
    assert!(said.contains("1.json is of version 99"), "{said}");
    assert_eq!(node.store.load(), []);
    node.endpoints.delete(&unnamed(1).attachment).unwrap();
    assert!(!node.store.is_of_later_release(1), "it goes with its pod");
}

#[test]
fn after_a_way_back_to_maps_of_another_layout_the_pods_are_those_that_have_their_addresses_now() {
    let node = rolled_back();
    node.datapath.wait_for_activation();
    let known = endpoint(1);
    node.datapath.set_tenants(vec![Tenant {
        ip: known.ip,
        id: 1,
        ifindex: known.ifindex,
        mac: known.mac,
    }]);
    let link = Link {
        mac: known.host_mac,
        ..link(1, "lxc1")
    };
    restore(&node.endpoints, node.store.load(), &*node.datapath, &[link]);
    let stranger = Endpoint {
        identity: NumericIdentity::INIT,
        policy: 0,
        state: EndpointState::WaitingForIdentity,
        ..unnamed(1)
    };
    assert_eq!(node.endpoints.list(), std::slice::from_ref(&stranger));
    assert_eq!(
        node.datapath.endpoints().unwrap(),
        [stranger.for_datapath()],
        "packets find it once these maps are read"
    );
}

#[test]
fn a_pod_that_cannot_be_taken_over_now_keeps_what_is_written_of_it_for_the_next_start() {
    let node = rolled_back();
    let carried = endpoint(1).for_datapath();
    node.datapath.upsert_endpoint(&carried).unwrap();
    node.datapath.refuse_endpoints(true);
    let restored = restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    assert_eq!((restored.kept, restored.problems.len()), (0, 1));
    assert!(node.store.is_of_later_release(1));
    // Its address is nobody else's, or both would claim it at the next start.
    let left = node.endpoints.list();
    assert_eq!(left[0].state, EndpointState::Invalid);
    let held = node.endpoints.allocations();
    assert!(held.contains_key(&endpoint(1).ip), "{held:?}");
    // And no address is said to be that of a pod that the datapath does not have.
    assert_eq!(local_identities(&left), []);
}

#[test]
fn a_dead_endpoint_does_not_take_the_address_entry_of_the_living_one_that_has_its_address() {
    let node = node();
    let mut living = endpoint(1);
    living.ip = endpoint(2).ip;
    for known in [&living, &endpoint(2)] {
        node.store.write_endpoint(known).unwrap();
    }
    restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    let ips = node.datapath.ips().unwrap();
    let ips: Vec<_> = ips.into_iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(ips, [living.ip.into()]);
}

#[test]
fn who_a_pod_is_says_the_running_datapath_rather_than_a_file_that_is_older() {
    let node = node();
    node.store.write_endpoint(&endpoint(1)).unwrap();
    let now = datapath::Endpoint {
        identity: 301,
        policy: 9,
        ..endpoint(1).for_datapath()
    };
    node.datapath.upsert_endpoint(&now).unwrap();
    restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    assert_eq!(node.datapath.endpoints().unwrap(), [now]);
    let known = &node.endpoints.list()[0];
    assert_eq!((known.identity, known.policy), (NumericIdentity(301), 9));
    assert_eq!(known.attachment, endpoint(1).attachment);
}

#[test]
fn what_del_queued_while_no_agent_was_there_is_done_at_start() {
    let node = node();
    node.store.write_endpoint(&endpoint(1)).unwrap();
    restore(
        &node.endpoints,
        node.store.load(),
        &*node.datapath,
        &[link(1, "lxc1")],
    );
    let folder = node.folder.path().join("queue");
    for id in ["c1", "never-seen"] {
        lock_queue(&folder)
            .unwrap()
            .push(&Deletion {
                container_id: id.to_owned(),
                container_interface_name: "eth0".to_owned(),
            })
            .unwrap();
    }
    let queue = lock_queue(&folder).unwrap();
    assert_eq!(drain(&queue, &node.endpoints).unwrap(), 2);
    assert!(node.endpoints.list().is_empty());
    assert!(queue.entries().unwrap().is_empty());
}

#[test]
fn an_endpoint_is_abandoned_when_its_link_is_gone() {
    let endpoints = [endpoint(1), endpoint(2)];
    assert_eq!(
        abandoned(&endpoints, &[link(1, "lxc1")]),
        [endpoint(2).attachment]
    );
}
