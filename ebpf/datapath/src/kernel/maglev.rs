//! Tables of backends, in chunks, by generation of the service.

use datapath_abi::maglev::{Chunk, SLOTS_PER_CHUNK};
use datapath_abi::service::Slot;

use super::maps::Maps;
use crate::Error;

pub(super) fn set(maps: &mut Maps, generation: u32, table: &[u16]) -> Result<(), Error> {
    for (index, slots) in (0..).zip(table.chunks(SLOTS_PER_CHUNK)) {
        let mut chunk = Chunk {
            backends: [0; SLOTS_PER_CHUNK],
        };
        chunk.backends[..slots.len()].copy_from_slice(slots);
        maps.cilium_lb4_maglev
            .set(&Slot { generation, index }, &chunk)?;
    }
    Ok(())
}

/// With whatever is there of a table of so many slots.
pub(super) fn unset(maps: &mut Maps, generation: u32, slots: u32) -> Result<(), Error> {
    for (index, _) in (0..).zip((0..slots).step_by(SLOTS_PER_CHUNK)) {
        maps.cilium_lb4_maglev.unset(&Slot { generation, index })?;
    }
    Ok(())
}
