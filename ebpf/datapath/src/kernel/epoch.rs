use datapath_abi::event::Runtime;

use super::maps::Maps;
use super::operations::{UPDATE, counted};
use crate::Error;

/// Raises the number that says under which policies a connection was allowed. One process does that at a time: two would
/// overwrite each other, so a starting one raises it anew (`Kernel::open`).
pub(super) fn raise(maps: &mut Maps) -> Result<(), Error> {
    change(maps, |runtime| {
        runtime.epoch = runtime.epoch.wrapping_add(1);
    })
}

/// Whether nobody has raised it yet: the maps were made by this process.
pub(super) fn is_new(maps: &Maps) -> Result<bool, Error> {
    let map = &maps.cilium_runtime_config;
    let runtime = map.map.get(&0, 0).map_err(map.failed("read"))?;
    Ok(runtime.epoch == 0)
}

/// Makes it a number that no known connection has: theirs were given under policies that these maps do not hold.
pub(super) fn leave_behind(maps: &mut Maps, highest: u32) -> Result<(), Error> {
    change(maps, |runtime| {
        if runtime.epoch <= highest {
            runtime.epoch = highest.wrapping_add(1);
        }
    })
}

/// Tells the programs whether anybody reads their events.
pub(super) fn set_events(maps: &mut Maps, read: bool) -> Result<(), Error> {
    change(maps, |runtime| runtime.events = u32::from(read))
}

fn change(maps: &mut Maps, change: impl FnOnce(&mut Runtime)) -> Result<(), Error> {
    let map = &mut maps.cilium_runtime_config;
    let mut runtime = map.map.get(&0, 0).map_err(map.failed("read"))?;
    change(&mut runtime);
    let failed = map.failed("write");
    let written = map.map.set(0, runtime, 0);
    counted(map.name, UPDATE, written).map_err(failed)
}
