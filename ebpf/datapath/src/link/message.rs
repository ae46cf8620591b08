//! The netlink messages we send, one function each, and how their answers read.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, InfoVxlan,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{Route, v4};
use crate::Mac;

pub(super) fn link_named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

fn link_indexed(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

fn raise(link: &mut LinkMessage, flags: LinkFlags) {
    link.header.flags |= flags;
    link.header.change_mask |= flags;
}

pub(super) fn link_up(index: u32) -> LinkMessage {
    let mut link = link_indexed(index);
    raise(&mut link, LinkFlags::Up);
    link
}

/// Brings an interface up and has the kernel give it no IPv6 address, so that it does not look for IPv6 neighbours and routers.
pub(super) fn link_up_for_ipv4(index: u32) -> LinkMessage {
    let mut link = link_up(index);
    link.attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
            vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)],
        )]));
    link
}

pub(super) fn link_mtu(index: u32, mtu: u32) -> LinkMessage {
    let mut link = link_indexed(index);
    link.attributes.push(LinkAttribute::Mtu(mtu));
    link
}

/// A veth pair, both ends down (the kernel refuses to make them up), the other end born in a namespace if one is given.
pub(crate) fn veth_pair(
    name: &str,
    peer_name: &str,
    peer_namespace: Option<i32>,
    mtu: u32,
) -> LinkMessage {
    let mut peer = link_named(peer_name);
    peer.attributes.push(LinkAttribute::Mtu(mtu));
    if let Some(namespace) = peer_namespace {
        peer.attributes.push(LinkAttribute::NetNsFd(namespace));
    }
    let mut link = link_named(name);
    link.attributes.push(LinkAttribute::Mtu(mtu));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    link
}

/// Asks for no ARP and brings the interface up.
pub(crate) fn link_up_without_arp(index: u32) -> LinkMessage {
    let mut link = link_up(index);
    raise(&mut link, LinkFlags::Noarp);
    link
}

/// A VXLAN device whose peer and VNI come with each packet ("external"), which learns nothing.
pub(crate) fn vxlan(name: &str, port: u16, mtu: u32) -> LinkMessage {
    let mut link = link_named(name);
    link.attributes.push(LinkAttribute::Mtu(mtu));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vxlan),
        LinkInfo::Data(InfoData::Vxlan(vec![
            InfoVxlan::CollectMetadata(true),
            InfoVxlan::Learning(false),
            InfoVxlan::Port(port),
        ])),
    ]));
    link
}

pub(super) fn address(index: u32, address: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message
        .attributes
        .push(AddressAttribute::Local(IpAddr::V4(address.addr())));
    message
        .attributes
        .push(AddressAttribute::Address(IpAddr::V4(address.addr())));
    message
}

pub(super) fn all_addresses() -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message
}

pub(super) fn read_address(message: &RouteNetlinkMessage) -> Option<(u32, Ipv4Net)> {
    let RouteNetlinkMessage::NewAddress(message) = message else {
        return None;
    };
    let local = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(ip) => v4(*ip),
            _ => None,
        })?;
    Some((
        message.header.index,
        Ipv4Net::new(local, message.header.prefix_len).ok()?,
    ))
}

pub(super) fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet,
        destination_prefix_length: route.destination.prefix_len(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: if route.device.is_some() && route.gateway.is_none() {
            RouteScope::Link
        } else {
            RouteScope::Universe
        },
        kind: if route.device.is_some() {
            RouteType::Unicast
        } else {
            RouteType::Unreachable
        },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    if route.destination.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(RouteAddress::Inet(
            route.destination.network(),
        )));
    }
    if let Some(device) = route.device {
        attributes.push(RouteAttribute::Oif(device));
    }
    if let Some(gateway) = route.gateway {
        message.header.flags = RouteFlags::Onlink;
        attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(RouteAddress::Inet(source)));
    }
    if let Some(mtu) = route.mtu {
        attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
    }
    message
}

pub(super) fn all_routes() -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message
}

pub(super) fn read_route(message: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = message else {
        return None;
    };
    if message.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let inet = |address: &RouteAddress| match address {
        RouteAddress::Inet(ip) => Some(*ip),
        _ => None,
    };
    let mut route = Route {
        destination: Ipv4Net::new(
            Ipv4Addr::UNSPECIFIED,
            message.header.destination_prefix_length,
        )
        .ok()?,
        device: None,
        gateway: None,
        source: None,
        mtu: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(ip) => {
                route.destination =
                    Ipv4Net::new(inet(ip)?, message.header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Oif(device) => route.device = Some(*device),
            RouteAttribute::Gateway(ip) => route.gateway = inet(ip),
            RouteAttribute::PrefSource(ip) => route.source = inet(ip),
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(route)
}

pub(super) fn neighbour(index: u32, ip: Ipv4Addr, mac: Mac) -> NeighbourMessage {
    let mut message = all_neighbours();
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)));
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}

pub(super) fn all_neighbours() -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message
}

pub(super) fn read_neighbour(message: &RouteNetlinkMessage, index: u32) -> Option<(Ipv4Addr, Mac)> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else {
        return None;
    };
    if message.header.ifindex != index || message.header.state != NeighbourState::Permanent {
        return None;
    }
    let mut found = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => found.0 = Some(*ip),
            NeighbourAttribute::LinkLayerAddress(mac) => {
                found.1 = <[u8; 6]>::try_from(mac.as_slice()).ok().map(Mac);
            }
            _ => {}
        }
    }
    found.0.zip(found.1)
}
