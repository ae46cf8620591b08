//! Every map, by its pinned name. Layouts and sizes: `datapath-abi`.
#![expect(
    non_upper_case_globals,
    reason = "a static's name is the map's name, and operators know Cilium's"
)]

use aya_ebpf::btf_maps::{Array, HashMap, HashOfMaps, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use datapath_abi::NO_PREALLOC;
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, MAX_ENDPOINTS, Source, Tenure};
use datapath_abi::event::{Event, RING, Runtime};
use datapath_abi::flow;
use datapath_abi::ip::{IpEntry, MAX_IPS, MAX_NODES, MAX_RANGES, Owner};
use datapath_abi::maglev::{Chunk, MAX_CHUNKS};
use datapath_abi::metric::{Metric, SLOTS};
use datapath_abi::nat::{Datagram, MAX_DATAGRAMS, MAX_FLOWS, Ports, Target, Tuple};
use datapath_abi::policy::{self, MAX_BLOCKS, MAX_ENTRIES, MAX_POLICIES};
use datapath_abi::service::{
    Affinity, Backend, Client, Frontend, MAX_CLIENTS, MAX_SERVICES, MAX_SOURCE_RANGES, Member,
    Peer, Service, Slot, SourceRange,
};

use crate::stage::packet::Packet;
use crate::stage::scratch::Scratch;

/// Local pods by address.
#[btf_map]
pub(crate) static cilium_lxc: HashMap<Address, Endpoint, MAX_ENDPOINTS, NO_PREALLOC> =
    HashMap::new();
/// Local pods by the host side of their link.
#[btf_map]
pub(crate) static cilium_lxc_source: HashMap<u32, Source, MAX_ENDPOINTS, NO_PREALLOC> =
    HashMap::new();
/// Since when local pods have their addresses; read and written by user space only.
#[btf_map]
pub(crate) static cilium_lxc_tenure: HashMap<Address, Tenure, MAX_ENDPOINTS, NO_PREALLOC> =
    HashMap::new();
/// Identity and node of every known range.
#[btf_map]
pub(crate) static cilium_ipcache: LpmTrie<Address, IpEntry, MAX_IPS, NO_PREALLOC> = LpmTrie::new();
/// The node that may send from a pod range.
#[btf_map]
pub(crate) static cilium_node_cidr: LpmTrie<Address, Owner, MAX_RANGES, NO_PREALLOC> =
    LpmTrie::new();
/// Other nodes by address.
#[btf_map]
pub(crate) static cilium_nodes: HashMap<Address, u32, MAX_NODES, NO_PREALLOC> = HashMap::new();
/// Destinations that are not masqueraded.
#[btf_map]
pub(crate) static cilium_native: LpmTrie<Address, u32, MAX_RANGES, NO_PREALLOC> = LpmTrie::new();
/// Services by address, port and protocol.
#[btf_map]
pub(crate) static cilium_lb4_services: HashMap<Frontend, Service, MAX_SERVICES, NO_PREALLOC> =
    HashMap::new();
/// Backends by generation and slot.
#[btf_map]
pub(crate) static cilium_lb4_backends: HashMap<Slot, Backend, MAX_SERVICES, NO_PREALLOC> =
    HashMap::new();
/// Backends by generation and address.
#[btf_map]
pub(crate) static cilium_lb4_members: HashMap<Member, u32, MAX_SERVICES, NO_PREALLOC> =
    HashMap::new();
/// Which backend a connection from outside meets: tables in chunks, by generation and number.
#[btf_map]
pub(crate) static cilium_lb4_maglev: HashMap<Slot, Chunk, MAX_CHUNKS, NO_PREALLOC> = HashMap::new();
/// Who may ask the services that not everybody may.
#[btf_map]
pub(crate) static cilium_lb4_source_range: LpmTrie<
    SourceRange,
    u32,
    MAX_SOURCE_RANGES,
    NO_PREALLOC,
> = LpmTrie::new();
/// The backend a client stays with.
#[btf_map]
pub(crate) static cilium_lb4_affinity: LruHashMap<Client, Affinity, MAX_CLIENTS> =
    LruHashMap::new();
/// What a translated socket believes it talks to.
#[btf_map]
pub(crate) static cilium_lb4_reverse_sk: LruHashMap<Peer, Frontend, MAX_CLIENTS> =
    LruHashMap::new();
/// Flows to services that were translated packet by packet.
#[btf_map]
pub(crate) static cilium_ct_service: LruHashMap<Tuple, Target, MAX_FLOWS> = LruHashMap::new();
/// Masqueraded flows.
#[btf_map]
pub(crate) static cilium_snat: LruHashMap<Tuple, Target, MAX_FLOWS> = LruHashMap::new();
/// Ports of datagrams in pieces.
#[btf_map]
pub(crate) static cilium_frags: LruHashMap<Datagram, Ports, MAX_DATAGRAMS> = LruHashMap::new();
/// One policy's entries.
pub(crate) type Policy = LpmTrie<policy::Key, policy::Entry, MAX_ENTRIES, NO_PREALLOC>;
/// Policies by number.
#[btf_map]
pub(crate) static cilium_policy: HashOfMaps<u32, Policy, MAX_POLICIES, NO_PREALLOC> =
    HashOfMaps::new();
/// Number of every range that policies name.
#[btf_map]
pub(crate) static cilium_blocks: LpmTrie<Address, u32, MAX_BLOCKS, NO_PREALLOC> = LpmTrie::new();
/// Connections.
#[btf_map]
pub(crate) static cilium_ct4_global: LruHashMap<flow::Key, flow::State, { flow::MAX_FLOWS }> =
    LruHashMap::new();
/// What user space changes while the programs run.
#[btf_map]
pub(crate) static cilium_runtime_config: Array<Runtime, 1> = Array::new();
/// What the programs tell.
#[btf_map]
pub(crate) static cilium_events: RingBuf<Event, RING> = RingBuf::new();
/// The packet that is being looked at, as read; not pinned either.
#[btf_map]
pub(crate) static cilium_packet: PerCpuArray<Packet, 1> = PerCpuArray::new();
/// Where a judgement is worked out; not pinned, since it does not outlive the packet.
#[btf_map]
pub(crate) static cilium_scratch: PerCpuArray<Scratch, 1> = PerCpuArray::new();
/// Until when a processor has spent its time for telling that a service has no backend; not pinned.
#[btf_map]
pub(crate) static cilium_refused: PerCpuArray<u64, 1> = PerCpuArray::new();
/// Events that found no room.
#[btf_map]
pub(crate) static cilium_events_lost: PerCpuArray<u64, 1> = PerCpuArray::new();
/// Packets and bytes by reason and direction.
#[btf_map]
pub(crate) static cilium_metrics: PerCpuArray<Metric, SLOTS> = PerCpuArray::new();
