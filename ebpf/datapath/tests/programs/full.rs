//! What happens when a table takes nothing more.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use datapath_abi::flow::{Key, State};
use datapath_abi::metric::EGRESS;
use datapath_abi::reason::CT_INSERT_FAILED;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::Pid;

use crate::conntrack::{from, one_way_on};
use crate::frame::udp;
use crate::node::{DROPPED, NEIGHBOUR, Node, POD, REDIRECTED};
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

/// Leaked and shared, as the node wants an object it can keep.
fn own(object: Ebpf) -> MutexGuard<'static, Ebpf> {
    let object: &Mutex<_> = Box::leak(Box::new(Mutex::new(object)));
    object.lock().unwrap()
}

#[test]
fn a_connection_that_cannot_be_remembered_does_not_begin_and_others_go_on() {
    let mut node = Node::on(own(with_room_for(2)));
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

/// The kernel keeps what is new in a list per processor: from another one nobody would be forgotten out of it.
fn stay_on_one_processor() {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap());
    let mut only = CpuSet::new();
    only.set(first.unwrap()).unwrap();
    sched_setaffinity(this, &only).unwrap();
}

/// Who evicts takes some at a time, hence far more than there is room for.
#[test]
fn a_full_table_lets_new_connections_in_and_forgets_the_oldest_but_not_what_is_in_use() {
    const ROOM: u32 = 256;
    const IN_USE: u16 = 1;
    const OLDEST: u16 = 2;
    stay_on_one_processor();
    let mut node = one_way_on(own(shared::load_small(&[("cilium_ct4_global", ROOM)])));
    let there = |port| udp((POD, port), (NEIGHBOUR, 53));
    let back = |port| udp((NEIGHBOUR, 53), (POD, port));
    let answer = |node: &mut Node, port| from(node, NEIGHBOUR, &back(port));
    let begin = |node: &mut Node, port| {
        assert_eq!(from(node, POD, &there(port)), REDIRECTED, "{port}");
        assert_eq!(answer(node, port), REDIRECTED, "{port}");
    };
    begin(&mut node, IN_USE);
    begin(&mut node, OLDEST);
    for port in 1000..1000 + 4 * u16::try_from(ROOM).unwrap() {
        begin(&mut node, port);
        assert_eq!(answer(&mut node, IN_USE), REDIRECTED, "at {port}");
    }
    assert!(node.flows().iter().count() <= ROOM as usize);
    assert_eq!(answer(&mut node, OLDEST), DROPPED, "judged as a new one");
    begin(&mut node, OLDEST);
}
