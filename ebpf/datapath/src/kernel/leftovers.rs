//! What belongs to no service: a process ended before it had put the service into force, or while it removed one.

use std::collections::BTreeSet;

use aya::Pod;
use aya::maps::{HashMap, MapData};

use super::maps::{Maps, Named};
use super::source_ranges;
use crate::Error;

/// Leaves what is of the known generations.
pub(super) fn remove(maps: &mut Maps, known: &BTreeSet<u32>) -> Result<(), Error> {
    let gone = |generation: u32| !known.contains(&generation);
    of_map(&mut maps.cilium_lb4_backends, |slot| gone(slot.generation))?;
    of_map(&mut maps.cilium_lb4_members, |member| {
        gone(member.generation)
    })?;
    of_map(&mut maps.cilium_lb4_maglev, |slot| gone(slot.generation))?;
    for generation in source_ranges::all(maps)?.into_keys() {
        if gone(generation) {
            source_ranges::unset(maps, generation)?;
        }
    }
    Ok(())
}

fn of_map<K: Pod, V: Pod>(
    map: &mut Named<HashMap<MapData, K, V>>,
    is_gone: impl Fn(&K) -> bool,
) -> Result<(), Error> {
    let keys = map.map.keys().collect::<Result<Vec<K>, _>>();
    for key in keys.map_err(map.failed("list"))? {
        if is_gone(&key) {
            map.unset(&key)?;
        }
    }
    Ok(())
}
