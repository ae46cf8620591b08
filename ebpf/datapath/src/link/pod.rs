use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

use ipnet::Ipv4Net;

use super::message;
use super::{Error, Link, Netlink, Route};
use crate::Mac;

/// What a pod's link shall be.
#[derive(Clone, Copy, Debug)]
pub struct PodLinkSpec<'a> {
    /// File of the pod's network namespace.
    pub netns: &'a Path,
    /// Name inside the pod (`CNI_IFNAME`, usually "eth0").
    pub container_name: &'a str,
    /// Name on the host, at most 15 bytes.
    pub host_name: &'a str,
    /// The pod's address; it gets it as a /32.
    pub ip: Ipv4Addr,
    /// Gateway of the pod's default route.
    pub router_ip: Ipv4Addr,
    /// MTU of both sides.
    pub mtu: u32,
}

/// A pod's link as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodLink {
    /// Interface index of the host's side.
    pub host_ifindex: u32,
    /// Ethernet address of the host's side.
    pub host_mac: Mac,
    /// Ethernet address of the pod's side.
    pub mac: Mac,
}

/// A pod's link as it is now, for CNI CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLinkReport {
    /// The interface inside the pod.
    pub link: Link,
    /// Its addresses.
    pub addresses: Vec<Ipv4Net>,
    /// Gateway of the default route over it.
    pub gateway: Option<Ipv4Addr>,
    /// Whether the gateway's Ethernet address is set for good.
    pub gateway_resolved: bool,
}

/// Makes a veth pair between the caller's namespace and the pod's, and gives the pod address, default route and gateway neighbour.
///
/// The host's side is left down: whoever attaches the programs brings it up, so no packet passes before them.
/// Fails with `EEXIST` if either name is taken. After an error nothing of the pair is left.
pub fn create_pod_link(spec: &PodLinkSpec<'_>) -> Result<PodLink, Error> {
    let mut host = Netlink::new()?;
    let mut pod = Netlink::in_namespace(spec.netns)?;
    let netns = File::open(spec.netns).map_err(|source| Error::Namespace {
        path: spec.netns.to_owned(),
        source,
    })?;
    let pair = message::veth_pair(
        spec.host_name,
        spec.container_name,
        Some(netns.as_raw_fd()),
        spec.mtu,
    );
    host.create(
        &format!(
            "make veth pair {} - {}",
            spec.host_name, spec.container_name
        ),
        pair,
    )?;
    configure(&mut host, &mut pod, spec).inspect_err(|_| {
        // The first error is what the caller needs; a pair that cannot be deleted shows again as EEXIST.
        drop(host.delete(spec.host_name));
    })
}

fn configure(
    host: &mut Netlink,
    pod: &mut Netlink,
    spec: &PodLinkSpec<'_>,
) -> Result<PodLink, Error> {
    let outer = existing(host, spec.host_name)?;
    let inner = existing(pod, spec.container_name)?;
    // Namespaces begin with the loopback device down, and not every runtime brings it up.
    let loopback = existing(pod, "lo")?;
    if !loopback.up {
        pod.set_up(loopback.index)?;
    }
    pod.set_up_for_ipv4(inner.index)?;
    pod.add_address(inner.index, Ipv4Net::from(spec.ip))?;
    pod.set_neighbour(inner.index, spec.router_ip, outer.mac)?;
    pod.set_route(&Route {
        destination: Ipv4Net::default(),
        device: Some(inner.index),
        gateway: Some(spec.router_ip),
        source: None,
        mtu: None,
    })?;
    Ok(PodLink {
        host_ifindex: outer.index,
        host_mac: outer.mac,
        mac: inner.mac,
    })
}

fn existing(netlink: &mut Netlink, name: &str) -> Result<Link, Error> {
    netlink
        .link(name)?
        .ok_or_else(|| Error::NoLink(name.to_owned()))
}

/// Waits until the pod's side can send. A link whose two sides came up one after the other is only put to work by the kernel's
/// link watch, some milliseconds later; asking for the link does it at once (`rtnl_getlink`, net/core/rtnetlink.c).
pub fn settle_pod_link(netns: &Path, container_name: &str) -> Result<(), Error> {
    let mut pod = Netlink::in_namespace(netns)?;
    existing(&mut pod, container_name).map(drop)
}

/// Deletes a pod's link by its name on the host. `false`: there was none.
pub fn delete_pod_link(host_name: &str) -> Result<bool, Error> {
    Netlink::new()?.delete(host_name)
}

/// Reads a pod's link from inside its namespace. `None`: the namespace has no such interface.
pub fn inspect_pod_link(
    netns: &Path,
    container_name: &str,
) -> Result<Option<PodLinkReport>, Error> {
    let mut pod = Netlink::in_namespace(netns)?;
    let Some(link) = pod.link(container_name)? else {
        return Ok(None);
    };
    let addresses = pod
        .addresses()?
        .into_iter()
        .filter(|(index, _)| *index == link.index)
        .map(|(_, ip)| ip)
        .collect();
    let gateway = pod
        .routes()?
        .into_iter()
        .find(|route| route.destination.prefix_len() == 0 && route.device == Some(link.index))
        .and_then(|route| route.gateway);
    let neighbours = pod.neighbours(link.index)?;
    let gateway_resolved =
        gateway.is_some_and(|gateway| neighbours.iter().any(|(ip, _)| *ip == gateway));
    Ok(Some(PodLinkReport {
        link,
        addresses,
        gateway,
        gateway_resolved,
    }))
}
