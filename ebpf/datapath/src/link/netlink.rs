use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;

use ipnet::Ipv4Net;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sched::{CloneFlags, setns};

use super::Error;
use super::message;
use crate::Mac;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Ethernet address; zero where the device has none.
    pub mac: Mac,
    /// Largest packet without the Ethernet header.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Kind of a virtual device ("veth", "vxlan").
    pub kind: Option<String>,
}

/// An IPv4 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Where to.
    pub destination: Ipv4Net,
    /// Interface index of the device; `None` answers "host unreachable".
    pub device: Option<u32>,
    /// Next hop; reached on the device even where no route says so.
    pub gateway: Option<Ipv4Addr>,
    /// Source address the host prefers.
    pub source: Option<Ipv4Addr>,
    /// Largest packet, where it is less than the device's.
    pub mtu: Option<u32>,
}

/// A blocking rtnetlink socket, bound for its life to one network namespace.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// A socket in the caller's own namespace.
    pub fn new() -> Result<Self, Error> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(Error::Socket)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// A socket in the namespace of the file at `path` (`/run/netns/x`, `/proc/1/ns/net`). The caller's thread stays where it is.
    pub fn in_namespace(path: &Path) -> Result<Self, Error> {
        let wrong = |source| Error::Namespace {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(wrong)?;
        // setns moves a thread for good, so one is made for it.
        let opened = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(file.as_fd(), CloneFlags::CLONE_NEWNET)
                        .map_err(|errno| wrong(errno.into()))?;
                    Self::new()
                })
                .join()
        });
        opened.unwrap_or_else(|_| {
            Err(wrong(io::Error::other(
                "the thread that enters it panicked",
            )))
        })
    }

    /// The interface of that name.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let request = message::link_named(name);
        match self.ask(
            &format!("look up interface {name}"),
            RouteNetlinkMessage::GetLink(request),
            NLM_F_ACK,
        ) {
            Ok(answers) => Ok(answers.into_iter().find_map(read_link)),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All interfaces of the namespace.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        Ok(self
            .ask("list interfaces", request, NLM_F_DUMP)?
            .into_iter()
            .filter_map(read_link)
            .collect())
    }

    /// Makes an interface; `EEXIST` when the name is taken.
    pub(crate) fn create(&mut self, operation: &str, link: LinkMessage) -> Result<(), Error> {
        self.tell(
            operation,
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Changes an interface.
    pub(crate) fn change(&mut self, operation: &str, link: LinkMessage) -> Result<(), Error> {
        self.tell(operation, RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Brings an interface up.
    pub fn set_up(&mut self, index: u32) -> Result<(), Error> {
        self.change(
            &format!("bring up interface {index}"),
            message::link_up(index),
        )
    }

    /// Brings an interface up that shall speak IPv4 only.
    pub(crate) fn set_up_for_ipv4(&mut self, index: u32) -> Result<(), Error> {
        let operation = format!("bring up interface {index} for IPv4");
        match self.change(&operation, message::link_up_for_ipv4(index)) {
            // A kernel without IPv6 has nothing to be told.
            Err(error) if error.errno() == Some(libc::EAFNOSUPPORT) => self.set_up(index),
            result => result,
        }
    }

    /// Sets the largest packet an interface takes.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> Result<(), Error> {
        self.change(
            &format!("set the MTU of interface {index} to {mtu}"),
            message::link_mtu(index, mtu),
        )
    }

    /// Deletes an interface by name, its veth peer with it. `false`: there was none.
    pub fn delete(&mut self, name: &str) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelLink(message::link_named(name));
        match self.tell(&format!("delete interface {name}"), request, 0) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives an interface an address; one it already has is fine.
    pub fn add_address(&mut self, index: u32, address: Ipv4Net) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewAddress(message::address(index, address));
        self.tell(
            &format!("add address {address} to interface {index}"),
            request,
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// Takes an address off an interface; one it does not have is fine.
    pub fn delete_address(&mut self, index: u32, address: Ipv4Net) -> Result<(), Error> {
        let request = RouteNetlinkMessage::DelAddress(message::address(index, address));
        match self.tell(
            &format!("remove address {address} from interface {index}"),
            request,
            0,
        ) {
            Err(error) if error.errno() != Some(libc::EADDRNOTAVAIL) => Err(error),
            _ => Ok(()),
        }
    }

    /// Addresses by interface index.
    pub fn addresses(&mut self) -> Result<Vec<(u32, Ipv4Net)>, Error> {
        let answers = self.ask(
            "list addresses",
            RouteNetlinkMessage::GetAddress(message::all_addresses()),
            NLM_F_DUMP,
        )?;
        Ok(answers.iter().filter_map(message::read_address).collect())
    }

    /// Sets a route; one to the same destination is replaced.
    pub fn set_route(&mut self, route: &Route) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewRoute(message::route(route));
        self.tell(
            &format!("set the route to {}", route.destination),
            request,
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// Removes the route to a destination. `false`: there was none.
    pub fn delete_route(&mut self, route: &Route) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelRoute(message::route(route));
        match self.tell(
            &format!("delete the route to {}", route.destination),
            request,
            0,
        ) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The IPv4 routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        let answers = self.ask(
            "list routes",
            RouteNetlinkMessage::GetRoute(message::all_routes()),
            NLM_F_DUMP,
        )?;
        Ok(answers.iter().filter_map(message::read_route).collect())
    }

    /// Sets a permanent neighbour, so that nobody has to ask for it.
    pub fn set_neighbour(&mut self, index: u32, ip: Ipv4Addr, mac: Mac) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewNeighbour(message::neighbour(index, ip, mac));
        self.tell(
            &format!("set neighbour {ip} on interface {index}"),
            request,
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// The permanent neighbours of an interface.
    pub fn neighbours(&mut self, index: u32) -> Result<Vec<(Ipv4Addr, Mac)>, Error> {
        let request = RouteNetlinkMessage::GetNeighbour(message::all_neighbours());
        let answers = self.ask("list neighbours", request, NLM_F_DUMP)?;
        Ok(answers
            .iter()
            .filter_map(|answer| message::read_neighbour(answer, index))
            .collect())
    }

    /// The device that carries an address.
    pub fn link_of_address(&mut self, ip: Ipv4Addr) -> Result<Option<Link>, Error> {
        let Some((index, _)) = self
            .addresses()?
            .into_iter()
            .find(|(_, address)| address.addr() == ip)
        else {
            return Ok(None);
        };
        Ok(self.links()?.into_iter().find(|link| link.index == index))
    }

    pub(super) fn tell(
        &mut self,
        operation: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Error> {
        self.ask(operation, message, flags | NLM_F_ACK).map(drop)
    }

    pub(super) fn ask(
        &mut self,
        operation: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let refused = |source| Error::Request {
            operation: operation.to_owned(),
            source,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(refused)?;

        let mut answers = Vec::new();
        loop {
            let length = self
                .socket
                .recv(&mut self.buffer.as_mut_slice(), 0)
                .map_err(refused)?;
            let mut rest = &self.buffer[..length.min(self.buffer.len())];
            while !rest.is_empty() {
                let answer =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|source| {
                        Error::Answer {
                            operation: operation.to_owned(),
                            source,
                        }
                    })?;
                // Netlink pads every message to four bytes; the last one of a datagram may lack the padding.
                let step = (answer.header.length as usize)
                    .next_multiple_of(4)
                    .min(rest.len());
                rest = &rest[step..];
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(refused(error.to_io()));
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => {}
                }
            }
        }
    }
}

fn read_link(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: Mac::default(),
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        kind: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(mac) => link.mac = mac.try_into().map_or(Mac::default(), Mac),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(link)
}

/// The IPv4 address in a netlink attribute.
pub(super) fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
