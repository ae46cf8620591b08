use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use aya::Ebpf;
use aya::Pod;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, HashOfMaps, LpmTrie, MapData, MapError, PerCpuArray, RingBuf};
use datapath_abi::address::{Address, MAPPED_BITS};
use datapath_abi::endpoint::{Endpoint, Source, Tenure};
use datapath_abi::event::Runtime;
use datapath_abi::ip::{IpEntry, Owner};
use datapath_abi::maglev::Chunk;
use datapath_abi::metric::Metric;
use datapath_abi::policy;
use datapath_abi::service::{Backend, Frontend, Member, Service, Slot, SourceRange};
use ipnet::Ipv4Net;
use nix::errno::Errno;

use super::operations::{DELETE, UPDATE, counted};
use super::pins::Pins;
use crate::Error;

macro_rules! maps {
    ($($name:ident: $kind:ty,)*) => {
        /// Every map of the object that user space reads or writes.
        #[derive(Debug)]
        pub(super) struct Maps {
            $(pub(super) $name: Named<$kind>,)*
            events: PathBuf,
        }

        /// Names of all maps, those included that only the programs use.
        pub(super) const NAMES: &[&str] = &[
            $(stringify!($name),)*
            "cilium_lb4_affinity",
            "cilium_lb4_reverse_sk",
            CHOICES,
            "cilium_frags",
            CONNECTIONS,
            TRANSLATIONS,
            EVENTS,
        ];

        impl Maps {
            /// Takes the maps out of a loaded object.
            pub(super) fn take(object: &mut Ebpf, pins: &Pins) -> Result<Self, Error> {
                Ok(Self {
                    events: pins.map(EVENTS),
                    $($name: Named {
                        name: stringify!($name),
                        map: object
                            .take_map(stringify!($name))
                            .ok_or(Error::Missing { kind: "map", name: stringify!($name) })?
                            .try_into()
                            .map_err(|source| Error::Map { operation: "open", map: stringify!($name), source })?,
                    },)*
                })
            }
        }
    };
}

maps! {
    cilium_lxc: HashMap<MapData, Address, Endpoint>,
    cilium_lxc_source: HashMap<MapData, u32, Source>,
    cilium_lxc_tenure: HashMap<MapData, Address, Tenure>,
    cilium_ipcache: LpmTrie<MapData, Address, IpEntry>,
    cilium_node_cidr: LpmTrie<MapData, Address, Owner>,
    cilium_nodes: HashMap<MapData, Address, u32>,
    cilium_native: LpmTrie<MapData, Address, u32>,
    cilium_lb4_services: HashMap<MapData, Frontend, Service>,
    cilium_lb4_backends: HashMap<MapData, Slot, Backend>,
    cilium_lb4_members: HashMap<MapData, Member, u32>,
    cilium_lb4_maglev: HashMap<MapData, Slot, Chunk>,
    cilium_lb4_source_range: LpmTrie<MapData, SourceRange, u32>,
    cilium_metrics: PerCpuArray<MapData, Metric>,
    cilium_policy: HashOfMaps<MapData, u32, LpmTrie<MapData, policy::Key, policy::Entry>>,
    cilium_blocks: LpmTrie<MapData, Address, u32>,
    cilium_runtime_config: Array<MapData, Runtime>,
    cilium_events_lost: PerCpuArray<MapData, u64>,
}

/// Maps whose entries come from traffic, or are about it: nobody can write them anew.
pub(super) const OF_TRAFFIC: &[&str] = &[
    "cilium_lb4_affinity",
    "cilium_lb4_reverse_sk",
    CHOICES,
    "cilium_frags",
    "cilium_lxc_tenure",
    "cilium_metrics",
    CONNECTIONS,
    TRANSLATIONS,
];

const EVENTS: &str = "cilium_events";
/// Large, and read by [`super::flows`] on its own.
pub(super) const CONNECTIONS: &str = "cilium_ct4_global";
/// As above.
pub(super) const TRANSLATIONS: &str = "cilium_snat";
/// Which backend a flow to a service has, and of which service its answers are.
pub(super) const CHOICES: &str = "cilium_ct_service";

/// A map that knows its name, for errors.
pub(super) struct Named<M> {
    pub(super) name: &'static str,
    pub(super) map: M,
}

impl<M> fmt::Debug for Named<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<M> Named<M> {
    pub(super) fn failed(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(MapError) -> Error + use<M> {
        let map = self.name;
        move |source| {
            if is_full(&source) {
                Error::MapFull { map }
            } else {
                Error::Map {
                    operation,
                    map,
                    source,
                }
            }
        }
    }
}

/// Hash tables without room say E2BIG, prefix tables ENOSPC (bpf(2)).
fn is_full(error: &MapError) -> bool {
    let MapError::SyscallError(call) = error else {
        return false;
    };
    let errno = call.io_error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::E2BIG | Errno::ENOSPC))
}

impl<K: Pod, V: Pod> Named<HashMap<MapData, K, V>> {
    pub(super) fn set(&mut self, key: &K, value: &V) -> Result<(), Error> {
        let failed = self.failed("write");
        let written = self.map.insert(key, value, 0);
        counted(self.name, UPDATE, written).map_err(failed)
    }

    pub(super) fn get(&self, key: &K) -> Result<Option<V>, Error> {
        absent_is_none(self.map.get(key, 0)).map_err(self.failed("read"))
    }

    /// Removing what is not there is fine.
    pub(super) fn unset(&mut self, key: &K) -> Result<(), Error> {
        let failed = self.failed("remove from");
        let removed = absent_is_none(self.map.remove(key)).map(drop);
        counted(self.name, DELETE, removed).map_err(failed)
    }

    pub(super) fn all(&self) -> Result<Vec<(K, V)>, Error> {
        self.map
            .iter()
            .collect::<Result<_, _>>()
            .map_err(self.failed("list"))
    }
}

impl<V: Pod> Named<LpmTrie<MapData, Address, V>> {
    pub(super) fn set(&mut self, prefix: Ipv4Net, value: &V) -> Result<(), Error> {
        let failed = self.failed("write");
        let written = self.map.insert(&key(prefix), value, 0);
        counted(self.name, UPDATE, written).map_err(failed)
    }

    pub(super) fn unset(&mut self, prefix: Ipv4Net) -> Result<(), Error> {
        let failed = self.failed("remove from");
        let removed = absent_is_none(self.map.remove(&key(prefix))).map(drop);
        counted(self.name, DELETE, removed).map_err(failed)
    }

    pub(super) fn all(&self) -> Result<Vec<(Ipv4Net, V)>, Error> {
        let entries: Vec<_> = self
            .map
            .iter()
            .collect::<Result<_, _>>()
            .map_err(self.failed("list"))?;
        Ok(entries
            .into_iter()
            .filter_map(|(key, value)| Some((prefix(&key)?, value)))
            .collect())
    }
}

pub(super) fn absent_is_none<T>(result: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        // Deleting a missing key of an LPM trie comes as the bare error number.
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// An IPv4 address as a key.
pub(super) fn address(ip: Ipv4Addr) -> Address {
    Address::v4(u32::from_ne_bytes(ip.octets()))
}

/// The IPv4 address of a key.
pub(super) fn ip(address: Address) -> Ipv4Addr {
    Ipv4Addr::from(address.to_v4().to_ne_bytes())
}

/// A range as a key.
pub(crate) fn key(prefix: Ipv4Net) -> Key<Address> {
    Key::new(
        MAPPED_BITS + u32::from(prefix.prefix_len()),
        address(prefix.network()),
    )
}

fn prefix(key: &Key<Address>) -> Option<Ipv4Net> {
    let bits = u8::try_from(key.prefix_len().checked_sub(MAPPED_BITS)?).ok()?;
    Ipv4Net::new(ip(key.data()), bits).ok()
}

impl Maps {
    /// The ring of events, opened for one more reader.
    pub(super) fn open_events(&self) -> Result<RingBuf<MapData>, Error> {
        MapData::from_pin(&self.events)
            .and_then(|data| RingBuf::try_from(aya::maps::Map::RingBuf(data)))
            .map_err(|source| Error::Map {
                operation: "open",
                map: EVENTS,
                source,
            })
    }

    /// Events that found no room.
    pub(super) fn lost_events(&self) -> Result<u64, Error> {
        let lost = &self.cilium_events_lost;
        let by_cpu = lost.map.get(&0, 0).map_err(lost.failed("read"))?;
        Ok(by_cpu.iter().sum())
    }
}
