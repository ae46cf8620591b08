use nix::net::if_::if_indextoname;

use super::maps::{Maps, address, ip};
use super::{State, epoch, now, sysctl};
use crate::{Endpoint, Error, Mac, Tenant};
use datapath_abi::endpoint::{Endpoint as Entry, Source, Tenure};

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
    let key = address(endpoint.ip);
    let tenure = maps.cilium_lxc_tenure.get(&key)?.filter(|tenure| {
        (tenure.ifindex, tenure.id, tenure.mac) == (endpoint.ifindex, endpoint.id, endpoint.mac.0)
    });
    let kept = tenure.and(maps.cilium_lxc.get(&key)?);
    let new = match (tenure, kept) {
        (Some(tenure), Some(old)) => entry(endpoint, tenure.since, old.service_client),
        // Known under another layout: it may have reached a Service.
        (Some(tenure), None) => entry(endpoint, tenure.since, 1),
        (None, _) => entry(endpoint, now::coarse()?, 0),
    };
    // In this order a tenure is never of another pod than the entry beside it.
    maps.cilium_lxc.set(&key, &new)?;
    maps.cilium_lxc_tenure
        .set(&key, &held(endpoint, new.since))?;
    if kept.is_none() {
        // What the address's last holder was allowed must not pass unjudged.
        epoch::raise(maps)?;
    }
    let network = |source| Error::Network {
        operation: format!("connect endpoint {} ({})", endpoint.id, endpoint.ip),
        source,
    };
    state
        .netlink
        .bind_to_block(endpoint.ifindex)
        .map_err(network)?;
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
        .set_up_for_ipv4(endpoint.ifindex)
        .map_err(network)?;
    // Asking makes the host's side work at once, see `link::settle_pod_link` for the other.
    state.netlink.link(&name).map(drop).map_err(network)
}

pub(super) fn remove(state: &mut State, id: u16) -> Result<(), Error> {
    for old in list(&state.maps)?.into_iter().filter(|old| old.id == id) {
        forget(state, &old)?;
    }
    // Of maps before these, of which only that is left.
    let tenures = &mut state.maps.cilium_lxc_tenure;
    for (address, _) in (tenures.all()?.into_iter()).filter(|(_, tenure)| tenure.id == id) {
        tenures.unset(&address)?;
    }
    Ok(())
}

/// The link stays bound to the program, which drops everything of a device without an entry.
fn forget(state: &mut State, old: &Endpoint) -> Result<(), Error> {
    state.maps.cilium_lxc.unset(&address(old.ip))?;
    state.maps.cilium_lxc_tenure.unset(&address(old.ip))?;
    state.maps.cilium_lxc_source.unset(&old.ifindex)
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
            policy: entry.policy,
        })
        .collect())
}

pub(super) fn tenants(maps: &Maps) -> Result<Vec<Tenant>, Error> {
    let all = maps.cilium_lxc_tenure.all()?.into_iter();
    let known = all.map(|(key, tenure)| Tenant {
        ip: ip(key),
        id: tenure.id,
        ifindex: tenure.ifindex,
        mac: Mac(tenure.mac),
    });
    Ok(known.collect())
}

/// Keeps the pods that an earlier process left, as far as their links are still there.
pub(super) fn take_over(state: &mut State) -> Result<(), Error> {
    let network = |source| Error::Network {
        operation: "take over the pods' links".to_owned(),
        source,
    };
    let links = state.netlink.links().map_err(network)?;
    let bound = state.netlink.bound_to_block().map_err(network)?;
    for endpoint in list(&state.maps)? {
        if !links.iter().any(|link| link.index == endpoint.ifindex) {
            tracing::warn!(id = endpoint.id, ip = %endpoint.ip, "the link of a known pod is gone; forgetting the pod");
            forget(state, &endpoint)?;
        } else if !bound.contains(&endpoint.ifindex) {
            state
                .netlink
                .bind_to_block(endpoint.ifindex)
                .map_err(network)?;
        }
    }
    Ok(())
}

fn held(endpoint: &Endpoint, since: u64) -> Tenure {
    Tenure {
        since,
        ifindex: endpoint.ifindex,
        id: endpoint.id,
        mac: endpoint.mac.0,
        pad: 0,
    }
}

fn source(endpoint: &Endpoint) -> Source {
    Source {
        address: address(endpoint.ip),
        identity: endpoint.identity,
        policy: endpoint.policy,
        id: endpoint.id,
        mac: endpoint.mac.0,
    }
}

fn entry(endpoint: &Endpoint, since: u64, service_client: u16) -> Entry {
    Entry {
        ifindex: endpoint.ifindex,
        identity: endpoint.identity,
        policy: endpoint.policy,
        id: endpoint.id,
        mac: endpoint.mac.0,
        host_mac: endpoint.host_mac.0,
        service_client,
        since,
        pad: 0,
    }
}
