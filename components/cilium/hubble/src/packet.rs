//! Reads the headers of a packet of which only the beginning may be there.
//!
//! Our own and not a library's: a cut packet is the ordinary case here, and everything before the cut counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
pub const VRRP: u8 = 112;
pub const SCTP: u8 = 132;

const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The headers that were there, from the outside in. One that is missing or cut off is `None`, and so is all within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    pub ethernet: Option<Ethernet>,
    pub ip: Option<Ip>,
    pub l4: Option<L4>,
}

/// The link's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    pub source: [u8; 6],
    pub destination: [u8; 6],
}

/// The network's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub source: IpAddr,
    pub destination: IpAddr,
}

/// What is carried, as far as a flow names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// `flags` as in the header: FIN is bit 0, CWR bit 7, NS bit 8.
    Tcp {
        source: u16,
        destination: u16,
        flags: u16,
    },
    Udp {
        source: u16,
        destination: u16,
    },
    /// `chunk` is the type of the first chunk.
    Sctp {
        source: u16,
        destination: u16,
        chunk: Option<u8>,
    },
    Icmpv4 {
        kind: u8,
        code: u8,
    },
    Icmpv6 {
        kind: u8,
        code: u8,
    },
    Vrrp {
        kind: u8,
        router: u8,
        priority: u8,
    },
    Igmp {
        kind: u8,
        group: Ipv4Addr,
    },
}

impl L4 {
    /// Source port, destination port and IP protocol, of what has ports.
    pub fn ports(&self) -> Option<(u16, u16, u8)> {
        match *self {
            L4::Tcp {
                source,
                destination,
                ..
            } => Some((source, destination, TCP)),
            L4::Udp {
                source,
                destination,
            } => Some((source, destination, UDP)),
            L4::Sctp {
                source,
                destination,
                ..
            } => Some((source, destination, SCTP)),
            L4::Icmpv4 { .. } | L4::Icmpv6 { .. } | L4::Vrrp { .. } | L4::Igmp { .. } => None,
        }
    }
}

/// Reads a packet from its Ethernet header on.
pub fn read(bytes: &[u8]) -> Headers {
    let mut headers = Headers::default();
    let Some(destination) = array(bytes, 0) else {
        return headers;
    };
    let (Some(source), Some((kind, rest))) = (array(bytes, 6), network(bytes)) else {
        return headers;
    };
    headers.ethernet = Some(Ethernet {
        source,
        destination,
    });
    let carried = match kind {
        0x0800 => ipv4(rest),
        0x86dd => ipv6(rest),
        _ => None,
    };
    if let Some((ip, payload)) = carried {
        headers.ip = Some(ip);
        headers.l4 = payload.and_then(|(protocol, bytes)| l4(protocol, bytes));
    }
    headers
}

/// What a network header carries: its protocol and its bytes. `None` for a fragment that is not the first.
type Payload<'a> = Option<(u8, &'a [u8])>;

/// The protocol behind the Ethernet header and at most two VLAN tags.
fn network(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = 12;
    let mut kind = u16_at(bytes, at)?;
    for _ in 0..2 {
        if kind == 0x8100 || kind == 0x88a8 {
            at += 4;
            kind = u16_at(bytes, at)?;
        }
    }
    Some((kind, bytes.get(at + 2..)?))
}

fn ipv4(bytes: &[u8]) -> Option<(Ip, Payload<'_>)> {
    let first = *bytes.first()?;
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || length < 20 {
        return None;
    }
    let ip = Ip {
        source: Ipv4Addr::from(array::<4>(bytes, 12)?).into(),
        destination: Ipv4Addr::from(array::<4>(bytes, 16)?).into(),
    };
    let fragment = u16_at(bytes, 6)? & FRAGMENT_OFFSET;
    let payload = bytes.get(length..).filter(|_| fragment == 0);
    Some((ip, payload.map(|payload| (bytes[9], payload))))
}

fn ipv6(bytes: &[u8]) -> Option<(Ip, Payload<'_>)> {
    if bytes.first()? >> 4 != 6 {
        return None;
    }
    let ip = Ip {
        source: Ipv6Addr::from(array::<16>(bytes, 8)?).into(),
        destination: Ipv6Addr::from(array::<16>(bytes, 24)?).into(),
    };
    Some((ip, behind_extensions(bytes[6], bytes.get(40..)?)))
}

/// Each extension header has at least eight bytes, so this ends with the packet.
fn behind_extensions(mut next: u8, mut bytes: &[u8]) -> Payload<'_> {
    loop {
        let length = match next {
            0 | 43 | 60 => (usize::from(*bytes.get(1)?) + 1) * 8,
            44 if u16_at(bytes, 2)? >> 3 != 0 => return None,
            44 => 8,
            51 => (usize::from(*bytes.get(1)?) + 2) * 4,
            protocol => return Some((protocol, bytes)),
        };
        next = *bytes.first()?;
        bytes = bytes.get(length..)?;
    }
}

fn l4(protocol: u8, bytes: &[u8]) -> Option<L4> {
    let read = match protocol {
        TCP => L4::Tcp {
            source: u16_at(bytes, 0)?,
            destination: u16_at(bytes, 2)?,
            flags: u16_at(bytes, 12)? & 0x1ff,
        },
        UDP => L4::Udp {
            source: u16_at(bytes, 0)?,
            destination: u16_at(bytes, 2)?,
        },
        SCTP => L4::Sctp {
            source: u16_at(bytes, 0)?,
            destination: u16_at(bytes, 2)?,
            chunk: bytes.get(12).copied(),
        },
        ICMP => L4::Icmpv4 {
            kind: *bytes.first()?,
            code: *bytes.get(1)?,
        },
        ICMPV6 => L4::Icmpv6 {
            kind: *bytes.first()?,
            code: *bytes.get(1)?,
        },
        VRRP => L4::Vrrp {
            kind: bytes.first()? & 0x0f,
            router: *bytes.get(1)?,
            priority: *bytes.get(2)?,
        },
        IGMP => L4::Igmp {
            kind: *bytes.first()?,
            group: array::<4>(bytes, 4)?.into(),
        },
        _ => return None,
    };
    Some(read)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests;
