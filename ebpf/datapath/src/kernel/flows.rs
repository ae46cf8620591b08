use std::collections;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aya::Pod;
use aya::maps::{HashMap, IterableMap as _, Map, MapData};
use datapath_abi::flow::{CLOSING, Key, MAX_FLOWS, ONE_WAY, ORIGINAL, REPLY, SEEN_REPLY, State};
use datapath_abi::ip::IDENTITY_WORLD;
use datapath_abi::nat::{self, REVERSE, Target, Tuple};
use datapath_abi::service::LOOPBACK;

use super::batch;
use super::maps::{CHOICES, CONNECTIONS, Named, TRANSLATIONS};
use super::now;
use super::pins::Pins;
use crate::model::crowd::{Census, GiveWay, Group};
use crate::{Collected, Error, Flow, FlowEnd, GaveWay};

const TCP: u8 = 6;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

type Table<K, V> = Named<HashMap<MapData, K, V>>;

/// The tables of connections and translations, by handles of their own: nobody waits for whoever reads them.
#[derive(Debug)]
pub(super) struct Tables {
    connections: Table<Key, State>,
    translations: Table<Tuple, Target>,
    choices: Table<Tuple, Target>,
    /// Choices without a connection when they were last looked at: a packet has its backend a moment before its connection.
    strays: Mutex<collections::HashSet<Tuple>>,
    node_ip: Ipv4Addr,
}

impl Tables {
    pub(super) fn open(pins: &Pins, node_ip: Ipv4Addr) -> Result<Self, Error> {
        Ok(Self {
            connections: open(pins, CONNECTIONS)?,
            translations: open(pins, TRANSLATIONS)?,
            choices: open(pins, CHOICES)?,
            strays: Mutex::default(),
            node_ip,
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

    pub(super) fn is_crowded(&self) -> Result<bool, Error> {
        Ok(self.connections.count()? > MAX_FLOWS / 2
            || self.translations.count()? > nat::MAX_FLOWS / 2
            || self.choices.count()? > nat::MAX_FLOWS / 2)
    }

    /// A connection that gets a packet between being read and being removed is judged once more: what is allowed stays allowed.
    pub(super) fn collect(&self) -> Result<Collected, Error> {
        let now = now::coarse()?;
        let mut collected = Collected::default();
        let mut losses = Losses::default();
        let mut ended = Vec::new();
        let mut census = Census::default();
        self.connections.each(|key, state| {
            if state.expires > now {
                collected.alive.count(key.protocol);
                census.count(group(key, state), ends_in(state, now));
            } else {
                collected.deleted.count(key.protocol);
                ended.push(*key);
            }
        })?;
        self.connections.remove(&ended)?;
        let give_way = census.give_way(MAX_FLOWS);
        if !give_way.is_empty() {
            self.shed(give_way, now, &mut collected, &mut losses)?;
        }
        collected.translations = self.collect_translations(now, &mut losses)?;
        collected.choices = self.collect_choices()?;
        collected.gave_way = losses.most_first();
        Ok(collected)
    }

    fn shed(
        &self,
        mut give_way: GiveWay,
        now: u64,
        collected: &mut Collected,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        let mut shed = Vec::new();
        self.connections.each(|key, state| {
            let group = group(key, state);
            if give_way.takes(group, ends_in(state, now)) {
                shed.push(*key);
                collected.alive.discount(key.protocol);
                losses.of(group.holder).connections += 1;
            }
        })?;
        self.connections.remove(&shed)
    }

    /// Of those that give way both entries go, and their connections stay: the next packet gets a new port.
    fn collect_translations(&self, now: u64, losses: &mut Losses) -> Result<u64, Error> {
        let mut pairs = Vec::new();
        self.translations
            .each(|tuple, target| pairs.push((*tuple, connection(tuple, target))))?;
        let mut orphans = Vec::new();
        let mut translated = collections::HashMap::new();
        for (tuple, key) in &pairs {
            match self.connections.get(key)? {
                None => orphans.push(*tuple),
                Some(state) => {
                    translated.insert(*key, (group(key, &state), ends_in(&state, now)));
                }
            }
        }
        self.translations.remove(&orphans)?;
        let mut census = Census::default();
        for (group, ends_in) in translated.values() {
            census.count(*group, *ends_in);
        }
        let mut give_way = census.give_way(nat::MAX_FLOWS / 2);
        translated.retain(|_, (group, ends_in)| give_way.takes(*group, *ends_in));
        let mut shed = Vec::new();
        for (tuple, key) in &pairs {
            if let Some((group, _)) = translated.get(key) {
                shed.push(*tuple);
                losses.of(group.holder).translations += 1;
            }
        }
        self.translations.remove(&shed)?;
        Ok(orphans.len() as u64)
    }

    fn collect_choices(&self) -> Result<u64, Error> {
        let mut choices = Vec::new();
        self.choices.each(|tuple, target| {
            choices.extend(served(tuple, target, self.node_ip).map(|key| (*tuple, key)));
        })?;
        let mut strays = collections::HashSet::new();
        for (tuple, key) in choices {
            if self.connections.get(&key)?.is_none() {
                strays.insert(tuple);
            }
        }
        let mut before = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<Tuple> = strays.extract_if(|stray| before.contains(stray)).collect();
        self.choices.remove(&ended)?;
        *before = strays;
        Ok(ended.len() as u64)
    }
}

/// What gave way, by holder.
#[derive(Debug, Default)]
struct Losses(collections::HashMap<u32, GaveWay>);

impl Losses {
    fn of(&mut self, holder: u32) -> &mut GaveWay {
        self.0.entry(holder).or_insert_with(|| GaveWay {
            holder: Ipv4Addr::from(holder.to_ne_bytes()),
            connections: 0,
            translations: 0,
        })
    }

    fn most_first(self) -> Vec<GaveWay> {
        let mut losses: Vec<GaveWay> = self.0.into_values().collect();
        losses.sort_by_key(|lost| {
            std::cmp::Reverse((lost.connections + lost.translations, lost.holder))
        });
        losses
    }
}

/// Whose a connection is. Who is outside is not asked: anybody can send from there under any address.
fn group(key: &Key, state: &State) -> Group {
    let origin = usize::from(state.origin & 1);
    let place = if state.identity[ORIGINAL] == IDENTITY_WORLD {
        1 - origin
    } else {
        origin
    };
    Group {
        holder: key.address[place],
        answered: state.bits & SEEN_REPLY != 0,
    }
}

/// Milliseconds.
fn ends_in(state: &State, now: u64) -> u32 {
    let left = Duration::from_nanos(state.expires.saturating_sub(now));
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
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

    fn count(&self) -> Result<usize, Error> {
        let counted = batch::count(self.map.map()).map_err(|source| Error::Batch {
            operation: "count",
            map: self.name,
            source,
        })?;
        Ok(counted as usize)
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

/// The connection a choice belongs to: between the client and the backend. `None` for those that are in no table of ours: of a pod
/// that is its own backend, and of backends on this host, which makes its own decisions.
fn served(tuple: &Tuple, target: &Target, node_ip: Ipv4Addr) -> Option<Key> {
    let source = (tuple.source.to_v4(), tuple.source_port);
    let (client, backend) = if tuple.direction == REVERSE {
        let client = (tuple.destination.to_v4(), tuple.destination_port);
        (client, source)
    } else {
        (source, (target.address.to_v4(), target.port))
    };
    let elsewhere = client.0 == backend.0
        || client.0 == u32::from_ne_bytes(LOOPBACK)
        || backend.0 == u32::from_ne_bytes(node_ip.octets());
    (!elsewhere).then(|| Key::of(client, backend, tuple.protocol, 0).0)
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

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: u32 = 10_000;

    fn key() -> Key {
        Key {
            address: [1, 2],
            port: [0; 2],
            protocol: TCP,
            kind: 0,
            icmp_type: 0,
            pad: 0,
        }
    }

    /// A connection that this end began, who has this identity.
    fn begun(origin: u8, by: u32, bits: u8) -> State {
        State {
            expires: 0,
            created: 0,
            packets: [0; 2],
            bytes: [0; 2],
            reported: [0; 2],
            identity: [by, WEB],
            epoch: 0,
            flags: [0; 2],
            origin,
            bits,
        }
    }

    #[test]
    fn a_connection_is_whose_who_began_it_and_from_outside_whose_who_was_asked() {
        let holder = |origin, by| group(&key(), &begun(origin, by, 0)).holder;
        assert_eq!((holder(0, WEB), holder(1, WEB)), (1, 2));
        let outside = |origin| holder(origin, IDENTITY_WORLD);
        assert_eq!((outside(0), outside(1)), (2, 1));
    }

    #[test]
    fn a_connection_that_was_answered_is_told_from_one_that_never_was() {
        let answered = |bits| group(&key(), &begun(0, WEB, bits)).answered;
        assert!(answered(SEEN_REPLY) && answered(SEEN_REPLY | CLOSING));
        assert!(!answered(0) && !answered(CLOSING));
    }

    #[test]
    fn who_lost_most_is_named_first_in_whichever_table_it_was() {
        let mut losses = Losses::default();
        for (holder, connections, translations) in [(1, 5, 0), (2, 3, 4), (3, 0, 6)] {
            let lost = losses.of(holder);
            (lost.connections, lost.translations) = (connections, translations);
        }
        let named = losses.most_first().into_iter().map(|lost| lost.holder);
        let holder = |number: u32| Ipv4Addr::from(number.to_ne_bytes());
        assert!(named.eq([2, 3, 1].map(holder)));
    }

    #[test]
    fn ends_are_told_apart_to_the_millisecond() {
        let ends = |expires| {
            let mut state = begun(0, WEB, 0);
            state.expires = expires;
            ends_in(&state, 1_000_000)
        };
        assert_eq!((ends(1_000_000), ends(3_500_000), ends(0)), (0, 2, 0));
    }
}
