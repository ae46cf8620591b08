//! A packet's headers in the protocol's form.

use std::net::IpAddr;

use crate::{
    packet::{self, L4},
    proto::flow::{
        Ethernet, IcmPv4, IcmPv6, Igmp, Ip, IpVersion, Layer4, Sctp, SctpChunkType, Tcp, TcpFlags,
        Udp, Vrrp, layer4::Protocol,
    },
};

pub(super) fn ethernet(header: &packet::Ethernet) -> Ethernet {
    Ethernet {
        source: mac(header.source),
        destination: mac(header.destination),
    }
}

pub(super) fn ip(header: &packet::Ip) -> Ip {
    let version = match header.source {
        IpAddr::V4(_) => IpVersion::IPv4,
        IpAddr::V6(_) => IpVersion::IPv6,
    };
    Ip {
        source: header.source.to_string(),
        destination: header.destination.to_string(),
        ip_version: version.into(),
        ..Ip::default()
    }
}

pub(super) fn l4(header: L4) -> Layer4 {
    let protocol = match header {
        L4::Tcp {
            source,
            destination,
            flags,
        } => Protocol::Tcp(Tcp {
            source_port: source.into(),
            destination_port: destination.into(),
            flags: Some(tcp_flags(flags)),
        }),
        L4::Udp {
            source,
            destination,
        } => Protocol::Udp(Udp {
            source_port: source.into(),
            destination_port: destination.into(),
        }),
        L4::Sctp {
            source,
            destination,
            chunk,
        } => Protocol::Sctp(Sctp {
            source_port: source.into(),
            destination_port: destination.into(),
            chunk_type: chunk_type(chunk).into(),
        }),
        L4::Icmpv4 { kind, code } => Protocol::IcmPv4(IcmPv4 {
            r#type: kind.into(),
            code: code.into(),
        }),
        L4::Icmpv6 { kind, code } => Protocol::IcmPv6(IcmPv6 {
            r#type: kind.into(),
            code: code.into(),
        }),
        L4::Vrrp {
            kind,
            router,
            priority,
        } => Protocol::Vrrp(Vrrp {
            r#type: kind.into(),
            vrid: router.into(),
            priority: priority.into(),
        }),
        L4::Igmp { kind, group } => Protocol::Igmp(Igmp {
            r#type: kind.into(),
            group_address: group.to_string(),
        }),
    };
    Layer4 {
        protocol: Some(protocol),
    }
}

fn tcp_flags(flags: u16) -> TcpFlags {
    let set = |bit: u16| flags & (1 << bit) != 0;
    TcpFlags {
        fin: set(0),
        syn: set(1),
        rst: set(2),
        psh: set(3),
        ack: set(4),
        urg: set(5),
        ece: set(6),
        cwr: set(7),
        ns: set(8),
    }
}

fn chunk_type(chunk: Option<u8>) -> SctpChunkType {
    match chunk {
        Some(1) => SctpChunkType::Init,
        Some(2) => SctpChunkType::InitAck,
        Some(6) => SctpChunkType::Abort,
        Some(7) => SctpChunkType::Shutdown,
        Some(8) => SctpChunkType::ShutdownAck,
        Some(14) => SctpChunkType::ShutdownComplete,
        Some(_) | None => SctpChunkType::Unsupported,
    }
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
