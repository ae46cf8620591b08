use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::path::Path;

use aya::maps::{LpmTrie, Map, MapData};
use ipnet::Ipv4Net;

use super::State;
use super::devices::{Devices, node_route};
use super::maps::{Maps, Named, address, ip};
use super::pins;
use crate::link::{Netlink, Route};
use crate::{Config, Error, Node};
use datapath_abi::ip::Owner;

/// A pod range and the node that has it.
type Range = (Ipv4Net, Ipv4Addr);

pub(super) fn upsert(
    state: &mut State,
    config: &Config,
    devices: &Devices,
    node: &Node,
) -> Result<(), Error> {
    require_direct(state, devices, node.ip)?;
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
        route(state, devices, (*range, node.ip), true)?;
    }
    for (range, owner) in known {
        if owner == node.ip && !ranges.contains(&range) {
            drop_range(state, devices, (range, owner))?;
        }
    }
    Ok(())
}

pub(super) fn remove(state: &mut State, devices: &Devices, node: Ipv4Addr) -> Result<(), Error> {
    for (range, owner) in owners(&state.maps)? {
        if owner == node {
            drop_range(state, devices, (range, owner))?;
        }
    }
    state.maps.cilium_nodes.unset(&address(node))
}

/// A range without its route is left out, so that whoever compares writes it anew: routes go with the address of a device, and
/// when it is down.
pub(super) fn list(state: &mut State, devices: &Devices) -> Result<Vec<Node>, Error> {
    let routes = state.netlink.routes().map_err(|source| Error::Network {
        operation: "read the routes to pod ranges".to_owned(),
        source,
    })?;
    let routes: HashSet<Route> = routes.into_iter().collect();
    let maps = &state.maps;
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
        let reached = routes.contains(&node_route(devices, range, owner));
        if let Some(node) = nodes.get_mut(&owner).filter(|_| reached) {
            node.pod_cidrs.push(range);
        }
    }
    Ok(nodes.into_values().collect())
}

/// The routes of native routing, which do not go with a device of ours.
pub(super) fn direct_routes(bpffs: &Path) -> Result<Vec<Route>, Error> {
    let name = "cilium_node_cidr";
    let path = pins::maps(bpffs).join(name);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let map = MapData::from_pin(path)
        .and_then(|data| LpmTrie::try_from(Map::LpmTrie(data)))
        .map_err(|source| Error::Map {
            operation: "open",
            map: name,
            source,
        })?;
    let ranges: Vec<(Ipv4Net, Owner)> = Named { name, map }.all()?;
    let routes = Netlink::new().and_then(|mut netlink| netlink.routes());
    let mut routes = routes.map_err(|source| Error::Network {
        operation: "read the routes to pod ranges".to_owned(),
        source,
    })?;
    routes.retain(|route| {
        ranges.iter().any(|(range, owner)| {
            route.destination == *range && route.gateway == Some(ip(owner.node))
        })
    });
    Ok(routes)
}

fn owners(maps: &Maps) -> Result<Vec<Range>, Error> {
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

/// Without a tunnel nothing but the network between the nodes carries a packet of a pod, and routers there know no pod ranges.
fn require_direct(state: &mut State, devices: &Devices, node: Ipv4Addr) -> Result<(), Error> {
    let Some(direct) = &devices.direct else {
        return Ok(());
    };
    let addresses = state.netlink.addresses().map_err(|source| Error::Network {
        operation: format!("read the addresses of {}", direct.name),
        source,
    })?;
    let reached = addresses
        .iter()
        .any(|(index, network)| *index == direct.index && network.contains(&node));
    if reached {
        return Ok(());
    }
    Err(Error::NotDirect {
        node,
        device: direct.name.clone(),
    })
}

fn drop_range(state: &mut State, devices: &Devices, range: Range) -> Result<(), Error> {
    state.maps.cilium_node_cidr.unset(range.0)?;
    route(state, devices, range, false)
}

fn route(
    state: &mut State,
    devices: &Devices,
    (range, node): Range,
    wanted: bool,
) -> Result<(), Error> {
    let route = node_route(devices, range, node);
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
