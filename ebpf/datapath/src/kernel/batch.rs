//! Reading and emptying large maps many entries a call: one by one, half a million of them take a second.
#![expect(unsafe_code, reason = "bpf(2) takes keys and values by address")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use aya::Pod;
use aya::maps::MapData;
use aya_obj::generated::bpf_cmd;

use super::bpf::{self, Batch};

/// Entries a call. A bucket of a hash is read as a whole, and none of ours comes near this.
const ENTRIES: usize = 4096;
const ROOM: u32 = 4096;
const _: () = assert!(ENTRIES == ROOM as usize);
/// Longest key of any map: where a call left off is said by a key or by a bucket's number.
const TOKEN_WORDS: usize = 16;

/// Hands over every entry; one that comes or goes meanwhile may be left out.
pub(super) fn each<K: Pod, V: Pod>(map: &MapData, mut take: impl FnMut(&K, &V)) -> io::Result<()> {
    check::<K, V>(map)?;
    let mut keys: Vec<MaybeUninit<K>> = vec![MaybeUninit::uninit(); ENTRIES];
    let mut values: Vec<MaybeUninit<V>> = vec![MaybeUninit::uninit(); ENTRIES];
    let (keys_at, values_at) = (keys.as_mut_ptr() as u64, values.as_mut_ptr() as u64);
    read(map, keys_at, values_at, |count| {
        for (key, value) in keys.iter().zip(&values).take(count) {
            // SAFETY: the kernel has written the first `count` of both; of plain bytes any value will do.
            unsafe { take(key.assume_init_ref(), value.assume_init_ref()) }
        }
    })
}

/// How many entries a map has.
pub(super) fn count(map: &MapData) -> io::Result<u32> {
    let info = map.info().map_err(io::Error::other)?;
    let mut keys = vec![0_u8; info.key_size() as usize * ENTRIES];
    let mut values = vec![0_u8; info.value_size() as usize * ENTRIES];
    let mut counted = 0;
    let (keys_at, values_at) = (keys.as_mut_ptr() as u64, values.as_mut_ptr() as u64);
    read(map, keys_at, values_at, |count| counted += count)?;
    Ok(u32::try_from(counted).unwrap_or(u32::MAX))
}

/// Removes entries; those that are gone already are fine.
pub(super) fn remove<K: Pod>(map: &MapData, keys: &[K]) -> io::Result<()> {
    check::<K, ()>(map)?;
    let mut rest = keys;
    while !rest.is_empty() {
        let mut batch = Batch {
            keys: rest.as_ptr() as u64,
            count: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            map: bpf::number(map.fd().as_fd()),
            ..Batch::default()
        };
        let result = bpf::batch(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut batch);
        let removed = (batch.count as usize).min(rest.len());
        rest = match result {
            Ok(()) => return Ok(()),
            // It stops at the first key that is not there.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                rest.get(removed + 1..).unwrap_or_default()
            }
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

/// The kernel writes as much as the map says, whatever room there is.
fn check<K, V>(map: &MapData) -> io::Result<()> {
    let info = map.info().map_err(io::Error::other)?;
    let value = size_of::<V>();
    if info.key_size() as usize == size_of::<K>()
        && (value == 0 || info.value_size() as usize == value)
    {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "the map's keys or values are of another size",
    ))
}

fn read(map: &MapData, keys: u64, values: u64, mut take: impl FnMut(usize)) -> io::Result<()> {
    let mut token = [0_u64; TOKEN_WORDS];
    let mut first = true;
    loop {
        let place = token.as_mut_ptr() as u64;
        let mut batch = Batch {
            from: if first { 0 } else { place },
            to: place,
            keys,
            values,
            count: ROOM,
            map: bpf::number(map.fd().as_fd()),
            ..Batch::default()
        };
        let result = bpf::batch(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut batch);
        let end = match result {
            Ok(()) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        take((batch.count as usize).min(ENTRIES));
        if end {
            return Ok(());
        }
        first = false;
    }
}
