use std::collections::{BTreeMap, BTreeSet};

use aya::maps::lpm_trie::Key;
use aya::maps::{LpmTrie, MapData, MapError};
use aya_obj::generated::BPF_F_NO_PREALLOC;
use datapath_abi::metric;
use datapath_abi::policy::{self as abi, ALL_BITS, EXACT_BITS, MAX_ENTRIES, PROTOCOL_BITS};

use super::State;
use super::maps::{Maps, absent_is_none};
use super::operations::{DELETE, UPDATE, counted};
use crate::{Direction, Error, PolicyEntry, PolicyKey, Verdict};

pub(crate) type Trie = LpmTrie<MapData, abi::Key, abi::Entry>;

/// Of the map of tables; each of these counts as it.
const NAME: &str = "cilium_policy";

/// A new trie takes the place of the old one in one step. The kernel waits there until no packet is being judged by the old one
/// (5 to 15 ms); [`update`] does not.
pub(super) fn set(
    state: &mut State,
    id: u32,
    entries: &BTreeMap<PolicyKey, PolicyEntry>,
) -> Result<(), Error> {
    let trie = make(id, entries)?;
    let outer = &mut state.maps.cilium_policy.map;
    let written = outer.insert(id, &trie, 0);
    counted(NAME, UPDATE, written).map_err(failed("write"))?;
    state.policy_sizes.insert(id, entries.len());
    Ok(())
}

/// A trie of its own with these entries.
pub(super) fn make(id: u32, entries: &BTreeMap<PolicyKey, PolicyEntry>) -> Result<Trie, Error> {
    check(id, entries.keys())?;
    fits(id, entries.len())?;
    let mut trie = Trie::create(max_entries(), BPF_F_NO_PREALLOC).map_err(failed("make"))?;
    for (key, entry) in entries {
        write(&mut trie, key, *entry)?;
    }
    Ok(trie)
}

/// Adds before it removes, so that a packet in between never finds less than both the old and the new state allow.
pub(super) fn update(
    state: &mut State,
    id: u32,
    upserts: &[(PolicyKey, PolicyEntry)],
    removes: &[PolicyKey],
) -> Result<(), Error> {
    check(id, upserts.iter().map(|(key, _)| key))?;
    let mut trie = open(&state.maps, id)?.ok_or(Error::NoPolicy { id })?;
    let touched: BTreeSet<PolicyKey> = upserts
        .iter()
        .map(|(key, _)| *key)
        .chain(removes.iter().copied())
        .collect();
    let mut before = BTreeMap::new();
    for key in touched {
        before.insert(key, read(&trie, &key)?);
    }
    let size = match state.policy_sizes.get(&id) {
        Some(size) => *size,
        None => all(&trie)?.len(),
    };
    let added = before
        .iter()
        .filter(|(key, old)| old.is_none() && upserts.iter().any(|(upsert, _)| upsert == *key));
    let peak = size + added.count();
    fits(id, peak)?;
    if let Err(error) = apply(&mut trie, upserts, removes) {
        restore(&mut trie, &before);
        return Err(error);
    }
    let gone = removes
        .iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|key| {
            before.get(*key).is_some_and(Option::is_some)
                || upserts.iter().any(|(upsert, _)| upsert == *key)
        });
    state.policy_sizes.insert(id, peak - gone.count());
    Ok(())
}

pub(super) fn remove(state: &mut State, id: u32) -> Result<(), Error> {
    state.policy_sizes.remove(&id);
    let removed = absent_is_none(state.maps.cilium_policy.map.remove(&id)).map(drop);
    counted(NAME, DELETE, removed).map_err(failed("remove from"))
}

pub(super) fn list(maps: &Maps) -> Result<Vec<u32>, Error> {
    let keys: Result<Vec<u32>, _> = maps.cilium_policy.map.keys().collect();
    let mut keys = keys.map_err(failed("list"))?;
    keys.sort_unstable();
    Ok(keys)
}

pub(super) fn get(maps: &Maps, id: u32) -> Result<Option<BTreeMap<PolicyKey, PolicyEntry>>, Error> {
    open(maps, id)?.map(|trie| all(&trie)).transpose()
}

fn check<'a>(id: u32, mut keys: impl Iterator<Item = &'a PolicyKey>) -> Result<(), Error> {
    if id == 0 {
        return Err(Error::PolicyZero);
    }
    match keys.find(|key| !key.is_valid()) {
        Some(key) => Err(Error::PolicyKey { id, key: *key }),
        None => Ok(()),
    }
}

fn fits(id: u32, entries: usize) -> Result<(), Error> {
    if entries > MAX_ENTRIES {
        return Err(Error::PolicyFull {
            id,
            entries,
            max: MAX_ENTRIES,
        });
    }
    Ok(())
}

/// Room for the entries that are there while an update has added and not yet removed.
fn max_entries() -> u32 {
    u32::try_from(MAX_ENTRIES).unwrap_or(u32::MAX)
}

fn open(maps: &Maps, id: u32) -> Result<Option<Trie>, Error> {
    absent_is_none(maps.cilium_policy.map.get(&id, 0)).map_err(failed("read"))
}

/// Upserts, then removes; what was done before an error stays done.
pub(crate) fn apply(
    trie: &mut Trie,
    upserts: &[(PolicyKey, PolicyEntry)],
    removes: &[PolicyKey],
) -> Result<(), Error> {
    for (key, entry) in upserts {
        write(trie, key, *entry)?;
    }
    for key in removes {
        erase(trie, key)?;
    }
    Ok(())
}

/// Removals cannot fail for want of room, so what was there fits again; a second failure leaves the first one's report.
fn restore(trie: &mut Trie, before: &BTreeMap<PolicyKey, Option<PolicyEntry>>) {
    for key in before
        .iter()
        .filter(|(_, old)| old.is_none())
        .map(|(key, _)| key)
    {
        drop(erase(trie, key));
    }
    for (key, old) in before {
        if let Some(old) = old {
            drop(write(trie, key, *old));
        }
    }
}

fn write(trie: &mut Trie, key: &PolicyKey, entry: PolicyEntry) -> Result<(), Error> {
    let value = abi::Entry {
        cookie: entry.cookie,
        verdict: match entry.verdict {
            Verdict::DefaultDeny => abi::DEFAULT_DENY,
            Verdict::Allow => abi::ALLOW,
            Verdict::Deny => abi::DENY,
        },
        protocol: key.protocol,
        port_bits: key.port_bits,
        pad: 0,
    };
    let written = trie.insert(&kernel_key(key), value, 0);
    counted(NAME, UPDATE, written).map_err(failed("write"))
}

fn erase(trie: &mut Trie, key: &PolicyKey) -> Result<(), Error> {
    let removed = absent_is_none(trie.remove(&kernel_key(key))).map(drop);
    counted(NAME, DELETE, removed).map_err(failed("remove from"))
}

/// The kernel answers with the longest prefix that matches; it is the entry itself only if it is as long.
fn read(trie: &Trie, key: &PolicyKey) -> Result<Option<PolicyEntry>, Error> {
    let found = absent_is_none(trie.get(&kernel_key(key), 0)).map_err(failed("read"))?;
    Ok(found
        .filter(|found| (found.protocol, found.port_bits) == (key.protocol, key.port_bits))
        .map(entry))
}

fn all(trie: &Trie) -> Result<BTreeMap<PolicyKey, PolicyEntry>, Error> {
    let mut entries = BTreeMap::new();
    for found in trie {
        let (key, value) = found.map_err(failed("list"))?;
        let data = key.data();
        let direction = if data.direction == metric::EGRESS {
            Direction::Egress
        } else {
            Direction::Ingress
        };
        let key = PolicyKey {
            identity: data.identity,
            direction,
            protocol: value.protocol,
            port: u16::from_be(data.port),
            port_bits: value.port_bits,
        };
        entries.insert(key, entry(value));
    }
    Ok(entries)
}

fn entry(value: abi::Entry) -> PolicyEntry {
    let verdict = match value.verdict {
        abi::ALLOW => Verdict::Allow,
        abi::DEFAULT_DENY => Verdict::DefaultDeny,
        // A number nobody writes must not open anything.
        _ => Verdict::Deny,
    };
    PolicyEntry {
        verdict,
        cookie: value.cookie,
    }
}

fn kernel_key(key: &PolicyKey) -> Key<abi::Key> {
    let bits = match (key.protocol, key.port_bits) {
        (0, _) => EXACT_BITS,
        (_, bits) => PROTOCOL_BITS + u32::from(bits),
    };
    debug_assert!(bits <= ALL_BITS, "the key was checked");
    let direction = match key.direction {
        Direction::Ingress => metric::INGRESS,
        Direction::Egress => metric::EGRESS,
    };
    Key::new(
        bits,
        abi::Key {
            identity: key.identity,
            direction,
            protocol: key.protocol,
            port: key.port.to_be(),
        },
    )
}

fn failed(operation: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map {
        operation,
        map: NAME,
        source,
    }
}
