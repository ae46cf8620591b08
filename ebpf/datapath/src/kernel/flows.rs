use std::net::Ipv4Addr;
use std::time::Duration;

use aya::Pod;
use aya::maps::{HashMap, IterableMap as _, Map, MapData};
use datapath_abi::flow::{CLOSING, Key, ONE_WAY, ORIGINAL, REPLY, SEEN_REPLY, State};
use datapath_abi::nat::{REVERSE, Target, Tuple};

use super::batch;
use super::maps::{CONNECTIONS, Named, TRANSLATIONS};
use super::now;
use super::pins::Pins;
use crate::{Collected, Error, Flow, FlowEnd};

const TCP: u8 = 6;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

type Table<K, V> = Named<HashMap<MapData, K, V>>;

/// The tables of connections and translations, by handles of their own: nobody waits for whoever reads them.
#[derive(Debug)]
pub(super) struct Tables {
    connections: Table<Key, State>,
    translations: Table<Tuple, Target>,
}

impl Tables {
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        Ok(Self {
            connections: open(pins, CONNECTIONS)?,
            translations: open(pins, TRANSLATIONS)?,
        })
    }

    pub(super) fn list(&self) -> Result<Vec<Flow>, Error> {
        let now = now::coarse()?;
        let mut flows = Vec::new();
        self.connections
            .each(|key, state| flows.push(flow(key, state, now)))?;
        Ok(flows)
    }

    /// The highest epoch that a connection was allowed in.
    pub(super) fn highest_epoch(&self) -> Result<u32, Error> {
        let mut highest = 0;
        self.connections
            .each(|_, state| highest = highest.max(state.epoch))?;
        Ok(highest)
    }

    pub(super) fn flush(&self) -> Result<u64, Error> {
        let mut keys = Vec::new();
        self.connections.each(|key, _| keys.push(*key))?;
        self.connections.remove(&keys)?;
        Ok(keys.len() as u64)
    }

    /// A connection that gets a packet between being read and being removed is judged once more: what is allowed stays allowed.
    pub(super) fn collect(&self) -> Result<Collected, Error> {
        let now = now::coarse()?;
        let mut collected = Collected::default();
        let mut ended = Vec::new();
        self.connections.each(|key, state| {
            if state.expires > now {
                collected.alive.count(key.protocol);
            } else {
                collected.deleted.count(key.protocol);
                ended.push(*key);
            }
        })?;
        self.connections.remove(&ended)?;
        collected.translations = self.collect_translations()?;
        Ok(collected)
    }

    fn collect_translations(&self) -> Result<u64, Error> {
        let mut pairs = Vec::new();
        self.translations
            .each(|tuple, target| pairs.push((*tuple, *target)))?;
        let mut orphans = Vec::new();
        for (tuple, target) in pairs {
            if self
                .connections
                .get(&connection(&tuple, &target))?
                .is_none()
            {
                orphans.push(tuple);
            }
        }
        self.translations.remove(&orphans)?;
        Ok(orphans.len() as u64)
    }
}

fn open<K: Pod, V: Pod>(pins: &Pins, name: &'static str) -> Result<Table<K, V>, Error> {
    let map =
        HashMap::try_from(Map::LruHashMap(pins.open(name)?)).map_err(|source| Error::Map {
            operation: "open",
            map: name,
            source,
        })?;
    Ok(Named { name, map })
}

impl<K: Pod, V: Pod> Table<K, V> {
    fn each(&self, take: impl FnMut(&K, &V)) -> Result<(), Error> {
        batch::each(self.map.map(), take).map_err(|source| Error::Batch {
            operation: "read",
            map: self.name,
            source,
        })
    }

    fn remove(&self, keys: &[K]) -> Result<(), Error> {
        batch::remove(self.map.map(), keys).map_err(|source| Error::Batch {
            operation: "remove",
            map: self.name,
            source,
        })
    }
}

/// The connection a translation belongs to: between the pod and its peer, whichever way the packets go that it is for.
fn connection(tuple: &Tuple, target: &Target) -> Key {
    let (destination, icmp_type) = if tuple.direction == REVERSE {
        ((target.address.to_v4(), target.port), ECHO_REPLY)
    } else {
        (
            (tuple.destination.to_v4(), tuple.destination_port),
            ECHO_REQUEST,
        )
    };
    let source = (tuple.source.to_v4(), tuple.source_port);
    Key::of(source, destination, tuple.protocol, icmp_type).0
}

fn flow(key: &Key, state: &State, now: u64) -> Flow {
    let origin = usize::from(state.origin & 1);
    let end = |place: usize, direction: usize| FlowEnd {
        ip: Ipv4Addr::from(key.address[place].to_ne_bytes()),
        port: u16::from_be(key.port[place]),
        identity: state.identity[direction],
        packets: state.packets[direction],
        bytes: state.bytes[direction],
        tcp_flags: if key.protocol == TCP {
            state.flags[direction]
        } else {
            0
        },
    };
    Flow {
        protocol: key.protocol,
        originator: end(origin, ORIGINAL),
        responder: end(1 - origin, REPLY),
        icmp_type: (key.kind == ONE_WAY).then_some(key.icmp_type),
        expires_in: Duration::from_nanos(state.expires.saturating_sub(now)),
        epoch: state.epoch,
        seen_reply: state.bits & SEEN_REPLY != 0,
        closing: state.bits & CLOSING != 0,
    }
}
