//! The object, loaded once for all tests: they take turns, and each begins with empty maps.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, HashOfMaps, LpmTrie, MapData};
use aya::{Ebpf, EbpfLoader, Pod};
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::flow;
use datapath_abi::ip::{IpEntry, Owner};
use datapath_abi::maglev::Chunk;
use datapath_abi::nat::{Datagram, Ports, Target, Tuple};
use datapath_abi::policy;
use datapath_abi::service::{Affinity, Backend, Client, Frontend, Member, Service, Slot};

use crate::frame::ip;
use crate::node::{LOOPBACK, NODE, ROUTER};

/// An object that is loaded when it is first asked for.
type Shared = OnceLock<Mutex<Ebpf>>;

/// The object of the test whose turn it is.
pub(crate) fn take() -> MutexGuard<'static, Ebpf> {
    static OBJECT: Shared = OnceLock::new();
    turn(&OBJECT, || load(&[]))
}

/// One more, of another node.
pub(crate) fn take_other() -> MutexGuard<'static, Ebpf> {
    static OBJECT: Shared = OnceLock::new();
    turn(&OBJECT, || load(&[]))
}

/// As above, of a node without a tunnel; the frames of the tests come over the network of the nodes.
pub(crate) fn take_native() -> MutexGuard<'static, Ebpf> {
    static OBJECT: Shared = OnceLock::new();
    turn(&OBJECT, || load_native(LOOPBACK))
}

/// As above, but the frames come by a device that is on another network.
pub(crate) fn take_aside() -> MutexGuard<'static, Ebpf> {
    static OBJECT: Shared = OnceLock::new();
    turn(&OBJECT, || load_native(LOOPBACK + 1))
}

fn turn(shared: &'static Shared, load: impl FnOnce() -> Ebpf) -> MutexGuard<'static, Ebpf> {
    let mut object = shared
        .get_or_init(|| Mutex::new(load()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    empty(&mut object);
    object
}

/// The object with the test node's constants; the named maps are those pinned there.
pub(crate) fn load(pinned: &[(&str, &Path)]) -> Ebpf {
    load_with(&[("TUNNEL_IFINDEX", LOOPBACK)], pinned, &[])
}

/// As above, with fewer entries in the named maps.
pub(crate) fn load_small(sizes: &[(&str, u32)]) -> Ebpf {
    load_with(&[("TUNNEL_IFINDEX", LOOPBACK)], &[], sizes)
}

fn load_native(ifindex: u32) -> Ebpf {
    load_with(&[("DIRECT_IFINDEX", ifindex)], &[], &[])
}

fn load_with(devices: &[(&str, u32)], pinned: &[(&str, &Path)], sizes: &[(&str, u32)]) -> Ebpf {
    let word = |text| u32::from_ne_bytes(ip(text).octets());
    let (node, router, network) = (word(NODE), word(ROUTER), word("10.244.1.0"));
    let mask = word("255.255.255.0");
    let port = 8472_u16.to_be();
    let mut loader = EbpfLoader::new();
    loader
        .override_global("NODE_IP", &node, true)
        .override_global("ROUTER_IP", &router, true)
        .override_global("POD_NETWORK", &network, true)
        .override_global("POD_MASK", &mask, true)
        .override_global("TUNNEL_PORT", &port, true);
    for (name, ifindex) in devices {
        loader.override_global(name, ifindex, true);
    }
    for (name, path) in pinned {
        loader.map_pin_path(name, *path);
    }
    for (name, entries) in sizes {
        loader.map_max_entries(name, *entries);
    }
    loader
        .load_file(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/object/datapath.bpf.o"
        ))
        .expect("load the object (these tests need root)")
}

fn empty(object: &mut Ebpf) {
    hash::<Address, Endpoint>(object, "cilium_lxc");
    hash::<u32, Source>(object, "cilium_lxc_source");
    hash::<Address, u32>(object, "cilium_nodes");
    hash::<Frontend, Service>(object, "cilium_lb4_services");
    hash::<Slot, Backend>(object, "cilium_lb4_backends");
    hash::<Member, u32>(object, "cilium_lb4_members");
    hash::<Slot, Chunk>(object, "cilium_lb4_maglev");
    hash::<Client, Affinity>(object, "cilium_lb4_affinity");
    hash::<Tuple, Target>(object, "cilium_ct_service");
    hash::<Tuple, Target>(object, "cilium_snat");
    hash::<Datagram, Ports>(object, "cilium_frags");
    hash::<flow::Key, flow::State>(object, "cilium_ct4_global");
    trie::<IpEntry>(object, "cilium_ipcache");
    trie::<Owner>(object, "cilium_node_cidr");
    trie::<u32>(object, "cilium_native");
    trie::<u32>(object, "cilium_blocks");
    let mut policies: HashOfMaps<_, u32, LpmTrie<MapData, policy::Key, policy::Entry>> =
        object.map_mut("cilium_policy").unwrap().try_into().unwrap();
    let keys: Vec<u32> = policies.keys().collect::<Result<_, _>>().unwrap();
    for key in keys {
        policies.remove(&key).unwrap();
    }
}

fn hash<K: Pod, V: Pod>(object: &mut Ebpf, name: &str) {
    let mut map: HashMap<_, K, V> = object.map_mut(name).unwrap().try_into().unwrap();
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>().unwrap();
    for key in keys {
        map.remove(&key).unwrap();
    }
}

fn trie<V: Pod>(object: &mut Ebpf, name: &str) {
    let mut map: LpmTrie<_, Address, V> = object.map_mut(name).unwrap().try_into().unwrap();
    let keys: Vec<Key<Address>> = map.keys().collect::<Result<_, _>>().unwrap();
    for key in keys {
        map.remove(&key).unwrap();
    }
}
