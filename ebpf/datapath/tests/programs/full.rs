//! What happens when a table takes nothing more.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use datapath_abi::flow::{Key, State};
use datapath_abi::metric::EGRESS;
use datapath_abi::reason::CT_INSERT_FAILED;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::frame::udp;
use crate::node::{NEIGHBOUR, Node, POD, REDIRECTED};
use crate::shared;

/// The object with a table of connections that holds so many and evicts none: the real one refuses an entry only when all
/// processors insert at once.
fn with_room_for(connections: u32) -> Ebpf {
    let mounted = thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(
            Some("bpf"),
            folder.path(),
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .unwrap();
        let pin: &Path = &folder.path().join("connections");
        HashMap::<MapData, Key, State>::create(connections, 0)
            .unwrap()
            .pin(pin)
            .unwrap();
        shared::load(&[("cilium_ct4_global", pin)])
    });
    mounted.join().unwrap()
}

#[test]
fn a_connection_that_cannot_be_remembered_does_not_begin_and_others_go_on() {
    // Leaked and shared, as the node wants an object it can keep.
    let object: &Mutex<_> = Box::leak(Box::new(Mutex::new(with_room_for(2))));
    let mut node = Node::on(object.lock().unwrap());
    let from = |port| udp((POD, port), (NEIGHBOUR, 53));
    for port in [1, 2] {
        assert_eq!(node.run("from_container", &from(port)).verdict, REDIRECTED);
    }
    node.run("from_container", &from(3))
        .dropped(CT_INSERT_FAILED, EGRESS);
    for port in [1, 2] {
        assert_eq!(node.run("from_container", &from(port)).verdict, REDIRECTED);
    }
}
