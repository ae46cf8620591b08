use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::maps::{Maps, address, ip};
use crate::{Config, Error, IpEntry};
use datapath_abi::address::Address;
use datapath_abi::ip::IpEntry as Entry;

pub(super) fn upsert(maps: &mut Maps, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error> {
    let entry = Entry {
        identity: entry.identity,
        has_tunnel: u32::from(entry.tunnel.is_some()),
        tunnel: entry.tunnel.map_or(Address::default(), address),
    };
    maps.cilium_ipcache.set(prefix, &entry)
}

pub(super) fn remove(maps: &mut Maps, prefix: Ipv4Net) -> Result<(), Error> {
    maps.cilium_ipcache.unset(prefix)
}

pub(super) fn list(maps: &Maps) -> Result<Vec<(Ipv4Net, IpEntry)>, Error> {
    Ok(maps
        .cilium_ipcache
        .all()?
        .into_iter()
        .map(|(prefix, entry)| {
            let tunnel: Option<Ipv4Addr> = (entry.has_tunnel != 0).then(|| ip(entry.tunnel));
            (
                prefix,
                IpEntry {
                    identity: entry.identity,
                    tunnel,
                },
            )
        })
        .collect())
}

/// Makes the ranges that are not masqueraded exactly those of the configuration.
pub(super) fn set_native(maps: &mut Maps, config: &Config) -> Result<(), Error> {
    let wanted: Vec<Ipv4Net> = config.native_cidrs.iter().map(Ipv4Net::trunc).collect();
    for range in &wanted {
        maps.cilium_native.set(*range, &1)?;
    }
    for (range, _) in maps.cilium_native.all()? {
        if !wanted.contains(&range) {
            maps.cilium_native.unset(range)?;
        }
    }
    Ok(())
}
