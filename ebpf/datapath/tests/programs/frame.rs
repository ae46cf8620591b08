//! Frames to feed programs with, and reading what they made of them.

use std::net::Ipv4Addr;

use crc::{CRC_32_ISCSI, Crc};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP: u8 = 1;
pub(crate) const SCTP: u8 = 132;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A frame in the making: defaults are a TCP SYN with TTL 64.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
    pub(crate) ethertype: u16,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) fragment: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) l4: Vec<u8>,
}

pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(crate) fn tcp(source: (&str, u16), destination: (&str, u16)) -> Frame {
    tcp_flags(source, destination, 0x02)
}

pub(crate) fn tcp_flags(source: (&str, u16), destination: (&str, u16), flags: u8) -> Frame {
    let mut l4 = ports(source.1, destination.1);
    l4.extend([
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        5 << 4,
        flags,
        0xff,
        0xff,
        0,
        0,
        0,
        0,
    ]);
    frame(source.0, destination.0, TCP, l4)
}

pub(crate) fn udp(source: (&str, u16), destination: (&str, u16)) -> Frame {
    let payload = b"payload";
    let mut l4 = ports(source.1, destination.1);
    l4.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    l4.extend([0, 0]);
    l4.extend(payload);
    frame(source.0, destination.0, UDP, l4)
}

/// A packet of SCTP with one chunk: its type, and what comes after its length.
pub(crate) fn sctp(
    source: (&str, u16),
    destination: (&str, u16),
    chunk: u8,
    value: &[u8],
) -> Frame {
    let mut l4 = ports(source.1, destination.1);
    // Who opens does not know the other's tag yet (RFC 9260 8.5.1).
    l4.extend(if chunk == 1 { [0; 4] } else { *b"tag." });
    l4.extend([0, 0, 0, 0, chunk, 0]);
    l4.extend(u16::try_from(4 + value.len()).unwrap().to_be_bytes());
    l4.extend(value);
    frame(source.0, destination.0, SCTP, l4)
}

/// An ICMP message; `id` is where an echo has its identifier.
/// One of a protocol with ports.
pub(crate) fn of(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> Frame {
    match protocol {
        UDP => udp(source, destination),
        SCTP => sctp(source, destination, 1, &[0; 16]),
        _ => tcp(source, destination),
    }
}

pub(crate) fn icmp(source: &str, destination: &str, icmp_type: u8, id: u16, rest: &[u8]) -> Frame {
    let mut l4 = vec![icmp_type, 0, 0, 0];
    l4.extend(id.to_be_bytes());
    l4.extend([0, 1]);
    l4.extend(rest);
    frame(source, destination, ICMP, l4)
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

fn frame(source: &str, destination: &str, protocol: u8, l4: Vec<u8>) -> Frame {
    Frame {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [2, 0, 0, 0, 0, 2],
        ethertype: 0x0800,
        source: ip(source),
        destination: ip(destination),
        protocol,
        ttl: 64,
        fragment: 0,
        options: Vec::new(),
        l4,
    }
}

impl Frame {
    pub(crate) fn with_source_mac(mut self, mac: [u8; 6]) -> Self {
        self.source_mac = mac;
        self
    }

    /// The IPv4 packet with both checksums right.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut packet = vec![0x40 | u8::try_from(header / 4).unwrap(), 0];
        packet.extend(u16::try_from(header + self.l4.len()).unwrap().to_be_bytes());
        packet.extend([0x12, 0x34]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(&self.options);
        let sum = !ones(&packet, 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut l4 = self.l4.clone();
        if let Some(at) = checksum_offset(self.protocol)
            .filter(|at| l4.len() >= at + 2 && self.fragment.trailing_zeros() >= 13)
        {
            let mut sum = !ones(
                &l4,
                pseudo(self.protocol, self.source, self.destination, l4.len()),
            );
            if self.protocol == UDP && sum == 0 {
                // Zero would say that there is none (RFC 768).
                sum = 0xffff;
            }
            l4[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        if self.protocol == SCTP && l4.len() >= 12 {
            let sum = sctp_checksum(&l4);
            l4[8..12].copy_from_slice(&sum.to_le_bytes());
        }
        packet.extend(l4);
        packet
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.destination_mac, self.source_mac].concat();
        bytes.extend(self.ethertype.to_be_bytes());
        bytes.extend(self.packet());
        bytes
    }
}

fn checksum_offset(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        ICMP => Some(2),
        _ => None,
    }
}

/// Over the packet with none in it (RFC 9260 6.8).
pub(crate) fn sctp_checksum(l4: &[u8]) -> u32 {
    let mut without = l4.to_vec();
    without[8..12].fill(0);
    CRC32C.checksum(&without)
}

fn pseudo(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> u32 {
    if protocol == ICMP {
        return 0;
    }
    let mut header = [source.octets(), destination.octets()].concat();
    header.extend([0, protocol]);
    header.extend(u16::try_from(length).unwrap().to_be_bytes());
    u32::from(ones(&header, 0))
}

/// The ones' complement sum of RFC 1071.
fn ones(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// What a frame says, for asserting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) source: (String, u16),
    pub(crate) destination: (String, u16),
    pub(crate) ttl: u8,
}

/// Reads a frame without IP options and checks both of its checksums. An ICMP echo's identifier counts as both ports.
pub(crate) fn see(frame: &[u8]) -> Seen {
    let packet = &frame[14..];
    // A frame may be padded.
    let l4 = &packet[20..usize::from(u16::from_be_bytes([packet[2], packet[3]]))];
    assert_eq!(ones(&packet[..20], 0), 0xffff, "the IP checksum is wrong");
    let source = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[12..16]).unwrap());
    let destination = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[16..20]).unwrap());
    if u16::from_be_bytes([packet[6], packet[7]]).trailing_zeros() >= 14
        && checksum_offset(packet[9]).is_some()
    {
        let sum = ones(l4, pseudo(packet[9], source, destination, l4.len()));
        assert_eq!(sum, 0xffff, "the transport checksum is wrong");
    }
    if packet[9] == SCTP {
        let stated = u32::from_le_bytes(l4[8..12].try_into().unwrap());
        assert_eq!(stated, sctp_checksum(l4), "the checksum of SCTP is wrong");
    }
    let number = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
    let (from, to) = if packet[9] == ICMP {
        (number(4), number(4))
    } else {
        (number(0), number(2))
    };
    Seen {
        source: (source.to_string(), from),
        destination: (destination.to_string(), to),
        ttl: packet[8],
    }
}

pub(crate) fn seen(source: (&str, u16), destination: (&str, u16), ttl: u8) -> Seen {
    Seen {
        source: (source.0.to_owned(), source.1),
        destination: (destination.0.to_owned(), destination.1),
        ttl,
    }
}
