use std::net::Ipv4Addr;
use std::sync::Arc;

use cilium_api::EndpointState;
use cilium_cni::queue::Deletion;
use datapath::{Fake, Mac};

use super::*;
use crate::bell::Bells;
use crate::ipam::Pool;

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
        load(&node.store),
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
    assert_eq!(load(&node.store).endpoints, [endpoint(1)]);
}

#[test]
fn a_link_index_that_now_belongs_to_another_interface_is_not_the_endpoints_link() {
    let node = node();
    node.store.write_endpoint(&endpoint(1)).unwrap();
    let restored = restore(
        &node.endpoints,
        load(&node.store),
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
        load(&node.store),
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

#[test]
fn what_del_queued_while_no_agent_was_there_is_done_at_start() {
    let node = node();
    node.store.write_endpoint(&endpoint(1)).unwrap();
    restore(
        &node.endpoints,
        load(&node.store),
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
