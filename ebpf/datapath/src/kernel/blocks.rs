use datapath_abi::policy::MAX_BLOCK;
use ipnet::Ipv4Net;

use super::maps::Maps;
use crate::Error;

pub(super) fn upsert(maps: &mut Maps, prefix: Ipv4Net, number: u32) -> Result<(), Error> {
    if number == 0 || number > MAX_BLOCK {
        return Err(Error::BlockNumber { prefix, number });
    }
    maps.cilium_blocks.set(prefix, &number)
}

pub(super) fn remove(maps: &mut Maps, prefix: Ipv4Net) -> Result<(), Error> {
    maps.cilium_blocks.unset(prefix)
}
