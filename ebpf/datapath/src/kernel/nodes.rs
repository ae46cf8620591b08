use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::State;
use super::devices::{Devices, pod_route};
use super::maps::{Maps, address, ip};
use crate::{Config, Error, Node};
use datapath_abi::ip::Owner;

pub(super) fn upsert(
    state: &mut State,
    config: &Config,
    devices: &Devices,
    node: &Node,
) -> Result<(), Error> {
    let ranges: Vec<Ipv4Net> = node.pod_cidrs.iter().map(Ipv4Net::trunc).collect();
    let known = owners(&state.maps)?;
    for range in &ranges {
        let own = (config.pod_cidr, config.node_ip);
        let taken = known
            .iter()
            .copied()
            .chain([own])
            .find(|(other, owner)| *owner != node.ip && overlap(*other, *range));
        if let Some((_, owner)) = taken {
            return Err(Error::RangeTaken {
                range: *range,
                owner,
                claimant: node.ip,
            });
        }
    }
    state.maps.cilium_nodes.set(&address(node.ip), &1)?;
    for range in &ranges {
        state.maps.cilium_node_cidr.set(
            *range,
            &Owner {
                node: address(node.ip),
            },
        )?;
        route(state, devices, *range, true)?;
    }
    for (range, owner) in known {
        if owner == node.ip && !ranges.contains(&range) {
            drop_range(state, devices, range)?;
        }
    }
    Ok(())
}

pub(super) fn remove(state: &mut State, devices: &Devices, node: Ipv4Addr) -> Result<(), Error> {
    for (range, owner) in owners(&state.maps)? {
        if owner == node {
            drop_range(state, devices, range)?;
        }
    }
    state.maps.cilium_nodes.unset(&address(node))
}

pub(super) fn list(maps: &Maps) -> Result<Vec<Node>, Error> {
    let mut nodes: BTreeMap<Ipv4Addr, Node> = BTreeMap::new();
    for (key, _) in maps.cilium_nodes.all()? {
        nodes.insert(
            ip(key),
            Node {
                ip: ip(key),
                pod_cidrs: Vec::new(),
            },
        );
    }
    for (range, owner) in owners(maps)? {
        if let Some(node) = nodes.get_mut(&owner) {
            node.pod_cidrs.push(range);
        }
    }
    Ok(nodes.into_values().collect())
}

fn owners(maps: &Maps) -> Result<Vec<(Ipv4Net, Ipv4Addr)>, Error> {
    Ok(maps
        .cilium_node_cidr
        .all()?
        .into_iter()
        .map(|(range, owner)| (range, ip(owner.node)))
        .collect())
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn drop_range(state: &mut State, devices: &Devices, range: Ipv4Net) -> Result<(), Error> {
    state.maps.cilium_node_cidr.unset(range)?;
    route(state, devices, range, false)
}

fn route(state: &mut State, devices: &Devices, range: Ipv4Net, wanted: bool) -> Result<(), Error> {
    let route = pod_route(devices, range);
    let result = if wanted {
        state.netlink.set_route(&route)
    } else {
        state.netlink.delete_route(&route).map(drop)
    };
    result.map_err(|source| Error::Network {
        operation: format!("route the host's traffic to {range}"),
        source,
    })
}
