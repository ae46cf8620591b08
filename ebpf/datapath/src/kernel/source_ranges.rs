//! Who may ask the services that not everybody may, by generation of the service.

use std::collections::BTreeMap;

use aya::maps::lpm_trie::Key;
use datapath_abi::address::MAPPED_BITS;
use datapath_abi::service::{GENERATION_BITS, SourceRange};
use ipnet::Ipv4Net;

use super::maps::{Maps, absent_is_none, address, ip};
use super::operations::{DELETE, UPDATE, counted};
use crate::Error;

pub(super) fn set(maps: &mut Maps, generation: u32, ranges: &[Ipv4Net]) -> Result<(), Error> {
    let trie = &mut maps.cilium_lb4_source_range;
    for range in ranges {
        let failed = trie.failed("write");
        let written = trie.map.insert(&key(generation, *range), 1, 0);
        counted(trie.name, UPDATE, written).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn unset(maps: &mut Maps, generation: u32) -> Result<(), Error> {
    let ranges = of(maps, generation)?;
    let trie = &mut maps.cilium_lb4_source_range;
    for range in ranges {
        let failed = trie.failed("remove from");
        let removed = absent_is_none(trie.map.remove(&key(generation, range)));
        counted(trie.name, DELETE, removed).map_err(failed)?;
    }
    Ok(())
}

/// In order, as services keep them.
pub(super) fn of(maps: &Maps, generation: u32) -> Result<Vec<Ipv4Net>, Error> {
    Ok(all(maps)?.remove(&generation).unwrap_or_default())
}

pub(super) fn all(maps: &Maps) -> Result<BTreeMap<u32, Vec<Ipv4Net>>, Error> {
    let trie = &maps.cilium_lb4_source_range;
    let mut by_generation: BTreeMap<u32, Vec<Ipv4Net>> = BTreeMap::new();
    for entry in &trie.map {
        let (key, _) = entry.map_err(trie.failed("list"))?;
        let SourceRange {
            generation,
            address,
        } = key.data();
        let bits = key
            .prefix_len()
            .saturating_sub(GENERATION_BITS + MAPPED_BITS);
        let range = u8::try_from(bits)
            .ok()
            .map(|bits| Ipv4Net::new(ip(address), bits));
        if let Some(Ok(range)) = range {
            by_generation.entry(generation).or_default().push(range);
        }
    }
    for ranges in by_generation.values_mut() {
        ranges.sort_unstable();
    }
    Ok(by_generation)
}

fn key(generation: u32, range: Ipv4Net) -> Key<SourceRange> {
    let data = SourceRange {
        generation,
        address: address(range.network()),
    };
    let bits = GENERATION_BITS + MAPPED_BITS + u32::from(range.prefix_len());
    Key::new(bits, data)
}
