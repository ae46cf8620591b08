use nix::net::if_::if_indextoname;

use super::maps::{Maps, address, ip};
use super::{State, sysctl};
use crate::{Endpoint, Error, Mac};
use datapath_abi::endpoint::{Endpoint as Entry, Source};

/// Maps first, then the program, and only then the link goes up.
pub(super) fn upsert(state: &mut State, endpoint: &Endpoint) -> Result<(), Error> {
    for old in list(&state.maps)? {
        let same_place = old.ip == endpoint.ip && old.ifindex == endpoint.ifindex;
        if (old.id == endpoint.id || old.ip == endpoint.ip) && !same_place {
            forget(state, &old)?;
        }
    }
    let maps = &mut state.maps;
    maps.cilium_lxc_source
        .set(&endpoint.ifindex, &source(endpoint))?;
    maps.cilium_lxc
        .set(&address(endpoint.ip), &entry(endpoint))?;
    state.attachments.endpoint(endpoint.ifindex)?;
    let name = if_indextoname(endpoint.ifindex)
        .map(|name| name.to_string_lossy().into_owned())
        .map_err(|errno| Error::Link {
            operation: "find the interface of",
            link: format!("endpoint {} ({})", endpoint.id, endpoint.ip),
            source: errno.into(),
        })?;
    sysctl::forgive(&name)?;
    state
        .netlink
        .set_up(endpoint.ifindex)
        .map_err(|source| Error::Network {
            operation: format!(
                "bring up the link of endpoint {} ({})",
                endpoint.id, endpoint.ip
            ),
            source,
        })
}

pub(super) fn remove(state: &mut State, id: u16) -> Result<(), Error> {
    for old in list(&state.maps)?.into_iter().filter(|old| old.id == id) {
        forget(state, &old)?;
    }
    Ok(())
}

fn forget(state: &mut State, old: &Endpoint) -> Result<(), Error> {
    state.maps.cilium_lxc.unset(&address(old.ip))?;
    // The program drops everything of a device without an entry, so the entry goes before the program.
    state.maps.cilium_lxc_source.unset(&old.ifindex)?;
    state.attachments.release(old.ifindex)
}

pub(super) fn list(maps: &Maps) -> Result<Vec<Endpoint>, Error> {
    Ok(maps
        .cilium_lxc
        .all()?
        .into_iter()
        .map(|(key, entry)| Endpoint {
            id: entry.id,
            ip: ip(key),
            mac: Mac(entry.mac),
            host_mac: Mac(entry.host_mac),
            ifindex: entry.ifindex,
            identity: entry.identity,
        })
        .collect())
}

/// Puts this version's programs on the links of the pods that an earlier process left.
pub(super) fn take_over(state: &mut State) -> Result<(), Error> {
    let links = state.netlink.links().map_err(|source| Error::Network {
        operation: "list the pods' links".to_owned(),
        source,
    })?;
    for endpoint in list(&state.maps)? {
        if links.iter().any(|link| link.index == endpoint.ifindex) {
            state.attachments.endpoint(endpoint.ifindex)?;
        } else {
            tracing::warn!(id = endpoint.id, ip = %endpoint.ip, "the link of a known pod is gone; forgetting the pod");
            forget(state, &endpoint)?;
        }
    }
    Ok(())
}

fn source(endpoint: &Endpoint) -> Source {
    Source {
        address: address(endpoint.ip),
        identity: endpoint.identity,
        id: endpoint.id,
        mac: endpoint.mac.0,
    }
}

fn entry(endpoint: &Endpoint) -> Entry {
    Entry {
        ifindex: endpoint.ifindex,
        identity: endpoint.identity,
        id: endpoint.id,
        mac: endpoint.mac.0,
        host_mac: endpoint.host_mac.0,
        pad: [0; 2],
    }
}
