use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::sysctl;
use crate::link::{self, Link, Netlink, Route, message};
use crate::{Config, Error, Routing};

/// Cilium's names, which operators and other software know.
const HOST: &str = "cilium_host";
const HOST_PEER: &str = "cilium_net";
const TUNNEL: &str = "cilium_vxlan";

/// Outer Ethernet, IPv4, UDP and VXLAN headers.
const TUNNEL_OVERHEAD: u32 = 50;

/// The node's devices.
#[derive(Debug)]
pub(super) struct Devices {
    /// `cilium_host`: where the host's routes to pods of other nodes lead.
    pub(super) host: Link,
    /// `cilium_net`, its other end, where nothing arrives.
    pub(super) host_peer: Link,
    /// `cilium_vxlan`; none with native routing.
    pub(super) tunnel: Option<Link>,
    /// The device on the network of all nodes, of those to the outside; none with a tunnel.
    pub(super) direct: Option<Link>,
    /// Devices to the outside.
    pub(super) outside: Vec<Link>,
    /// MTU of the pods' links.
    pub(super) pod_mtu: u32,
    /// The node's address on its own network.
    pub(super) node_ip: Ipv4Addr,
    /// The node's address among its pods.
    pub(super) router_ip: Ipv4Addr,
}

/// Makes what is missing, and sets addresses, routes and kernel parameters. Repeating it changes nothing.
pub(super) fn prepare(netlink: &mut Netlink, config: &Config) -> Result<Devices, Error> {
    let outside = outside(netlink, config)?;
    let lowest = outside
        .iter()
        .map(|link| link.mtu)
        .min()
        .unwrap_or_default();
    let pod_mtu = pod_mtu(config, lowest)?;
    let direct = match config.routing {
        Routing::Tunnel => None,
        Routing::Native => Some(direct(netlink, config, &outside)?),
    };
    let mut set_up = |operation: &str, step: Step<'_>| {
        step(netlink, config, pod_mtu).map_err(|source| Error::Network {
            operation: operation.to_owned(),
            source,
        })
    };
    let host = set_up("set up cilium_host", &host)?;
    let tunnel = match config.routing {
        Routing::Tunnel => Some(set_up("set up cilium_vxlan", &tunnel)?),
        Routing::Native => None,
    };
    let host_peer = set_up("find cilium_net", &|netlink, _, _| {
        existing(netlink, HOST_PEER)
    })?;
    let devices = Devices {
        host,
        host_peer,
        tunnel,
        direct,
        outside,
        pod_mtu,
        node_ip: config.node_ip,
        router_ip: config.router_ip,
    };
    netlink
        .set_route(&pod_route(&devices, config.pod_cidr.trunc()))
        .map_err(|source| Error::Network {
            operation: "set the route of the pod range".to_owned(),
            source,
        })?;
    sysctl::prepare([HOST, HOST_PEER], devices.tunnel.as_ref().map(|_| TUNNEL))?;
    Ok(devices)
}

fn pod_mtu(config: &Config, lowest: u32) -> Result<u32, Error> {
    let overhead = match config.routing {
        Routing::Tunnel => TUNNEL_OVERHEAD,
        Routing::Native => 0,
    };
    let device = config.mtu.unwrap_or(lowest);
    let pod_mtu = device.saturating_sub(overhead);
    if pod_mtu < 576 {
        return Err(Error::Config(format!(
            "an MTU of {device} leaves pods {pod_mtu} bytes a packet; every IPv4 link needs 576 (RFC 791)"
        )));
    }
    Ok(pod_mtu)
}

/// Only a device with our programs may carry packets of pods.
fn direct(netlink: &mut Netlink, config: &Config, outside: &[Link]) -> Result<Link, Error> {
    let found = netlink
        .link_of_address(config.node_ip)
        .map_err(|source| Error::Network {
            operation: "look for the device on the nodes' network".to_owned(),
            source,
        })?;
    found
        .filter(|link| outside.iter().any(|other| other.index == link.index))
        .ok_or_else(|| {
            Error::Config(format!(
                "native routing needs the device that carries the node's address {} among the devices to the outside; name it, too",
                config.node_ip
            ))
        })
}

type Step<'a> = &'a dyn Fn(&mut Netlink, &Config, u32) -> Result<Link, link::Error>;

fn outside(netlink: &mut Netlink, config: &Config) -> Result<Vec<Link>, Error> {
    let read = |source| Error::Network {
        operation: "look for devices to the outside".to_owned(),
        source,
    };
    if config.devices.is_empty() {
        let found = netlink.link_of_address(config.node_ip).map_err(read)?;
        let link = found.ok_or_else(|| {
            Error::Config(format!(
                "no device carries the node's address {}; name the devices",
                config.node_ip
            ))
        })?;
        return Ok(vec![link]);
    }
    let mut links = Vec::new();
    for name in &config.devices {
        let link = netlink.link(name).map_err(read)?;
        links.push(
            link.ok_or_else(|| {
                Error::Config(format!("device {name} does not exist on this node"))
            })?,
        );
    }
    Ok(links)
}

/// A pair, as in Cilium: a dummy device would do, but needs one more kernel module.
fn host(netlink: &mut Netlink, config: &Config, mtu: u32) -> Result<Link, link::Error> {
    if netlink.link(HOST)?.is_none() {
        netlink.create(
            "make cilium_host",
            message::veth_pair(HOST, HOST_PEER, None, mtu),
        )?;
    }
    let host = of_size(netlink, HOST, mtu)?;
    let peer = of_size(netlink, HOST_PEER, mtu)?;
    // Nobody answers behind it: the program on it takes every packet.
    netlink.change(
        "bring up cilium_host",
        message::link_up_without_arp(host.index),
    )?;
    netlink.change(
        "bring up cilium_net",
        message::link_up_without_arp(peer.index),
    )?;
    let router = Ipv4Net::from(config.router_ip);
    for (index, address) in netlink.addresses()? {
        // The range may have moved since the last start; two router addresses would shadow another node's.
        if index == host.index && address != router {
            netlink.delete_address(index, address)?;
        }
    }
    netlink.add_address(host.index, router)?;
    Ok(host)
}

fn tunnel(netlink: &mut Netlink, config: &Config, mtu: u32) -> Result<Link, link::Error> {
    if netlink.link(TUNNEL)?.is_none() {
        netlink.create(
            "make cilium_vxlan",
            message::vxlan(TUNNEL, config.tunnel_port, mtu),
        )?;
    }
    let tunnel = of_size(netlink, TUNNEL, mtu)?;
    netlink.set_up(tunnel.index)?;
    Ok(tunnel)
}

/// A device of ours. One from an earlier start may have another MTU than the nodes' network leaves now.
fn of_size(netlink: &mut Netlink, name: &str, mtu: u32) -> Result<Link, link::Error> {
    let mut link = existing(netlink, name)?;
    if link.mtu != mtu {
        netlink.set_mtu(link.index, mtu)?;
        link.mtu = mtu;
    }
    Ok(link)
}

fn existing(netlink: &mut Netlink, name: &str) -> Result<Link, link::Error> {
    netlink
        .link(name)?
        .ok_or_else(|| link::Error::NoLink(name.to_owned()))
}

/// The route of the host to a pod range behind `cilium_host`.
pub(super) fn pod_route(devices: &Devices, range: Ipv4Net) -> Route {
    Route {
        destination: range,
        device: Some(devices.host.index),
        gateway: None,
        source: Some(devices.router_ip),
        mtu: Some(devices.pod_mtu),
    }
}

/// The route of the host to a pod range of another node: behind `cilium_host`, where the tunnel begins, or straight to the node.
pub(super) fn node_route(devices: &Devices, range: Ipv4Net, node: Ipv4Addr) -> Route {
    match &devices.direct {
        None => pod_route(devices, range),
        Some(direct) => Route {
            destination: range,
            device: Some(direct.index),
            gateway: Some(node),
            source: Some(devices.node_ip),
            mtu: Some(devices.pod_mtu),
        },
    }
}

/// Deletes the tunnel device, if there is one.
pub(super) fn remove_tunnel(netlink: &mut Netlink) -> Result<(), Error> {
    netlink
        .delete(TUNNEL)
        .map(drop)
        .map_err(|source| Error::Network {
            operation: "remove cilium_vxlan".to_owned(),
            source,
        })
}

/// What is left of an agent's work: the links of pods with a program of ours, and devices of ours. One of a pair goes with the other
/// and is not named. Cilium has devices of these names, too: ours are there with our pins, or with our program at the pair, which
/// therefore goes last.
pub(super) fn left(
    netlink: &mut Netlink,
    pinned: bool,
) -> Result<(Vec<u32>, Vec<&'static str>), link::Error> {
    let links = netlink.links()?;
    let index_of = |name: &str| Some(links.iter().find(|link| link.name == name)?.index);
    let mut bound = netlink.bound_to_block()?;
    let paired = index_of(HOST_PEER);
    let ours = pinned || paired.is_some_and(|index| bound.contains(&index));
    bound.retain(|index| paired != Some(*index));
    let devices = [TUNNEL, HOST].into_iter();
    let devices = devices.filter(|name| ours && index_of(name).is_some());
    Ok((bound, devices.collect()))
}
