//! The one line that `hubble observe` ends with, in Cilium's words.

use std::net::IpAddr;

use crate::packet::{Headers, L4};

/// The innermost header, with what tells most about it.
pub(super) fn of(headers: &Headers) -> String {
    match (headers.l4, headers.ip, headers.ethernet) {
        (Some(l4), _, _) => carried(l4),
        (None, Some(ip), _) if matches!(ip.source, IpAddr::V4(_)) => "IPv4".to_owned(),
        (None, Some(_), _) => "IPv6".to_owned(),
        (None, None, Some(_)) => "Ethernet".to_owned(),
        (None, None, None) => String::new(),
    }
}

fn carried(l4: L4) -> String {
    match l4 {
        L4::Tcp { flags, .. } => format!("TCP Flags: {}", flag_names(flags)),
        L4::Udp { .. } => "UDP".to_owned(),
        L4::Sctp { .. } => "SCTP".to_owned(),
        L4::Icmpv4 { kind, code } => format!("ICMPv4 {}", icmp_name(false, kind, code)),
        L4::Icmpv6 { kind, code } => format!("ICMPv6 {}", icmp_name(true, kind, code)),
        L4::Vrrp { .. } => "VRRP".to_owned(),
        L4::Igmp { .. } => "IGMP".to_owned(),
    }
}

fn flag_names(flags: u16) -> String {
    let names = [
        (1, "SYN"),
        (4, "ACK"),
        (2, "RST"),
        (0, "FIN"),
        (3, "PSH"),
        (5, "URG"),
        (6, "ECE"),
        (7, "CWR"),
        (8, "NS"),
    ];
    let set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .map(|(_, name)| *name)
        .collect();
    set.join(", ")
}

/// An ICMP message in the words of Cilium's summaries and metrics: `EchoRequest`, `DestinationUnreachable(Port)`.
pub fn icmp_name(six: bool, kind: u8, code: u8) -> String {
    let Some((name, codes)) = (if six { icmpv6(kind) } else { icmpv4(kind) }) else {
        return format!("{kind}({code})");
    };
    match codes.get(usize::from(code)) {
        Some(code) => format!("{name}({code})"),
        None if codes.is_empty() && code == 0 => name.to_owned(),
        None => format!("{name}(Code: {code})"),
    }
}

type IcmpWords = (&'static str, &'static [&'static str]);

fn icmpv4(kind: u8) -> Option<IcmpWords> {
    let words: IcmpWords = match kind {
        0 => ("EchoReply", &[]),
        3 => ("DestinationUnreachable", UNREACHABLE),
        4 => ("SourceQuench", &[]),
        5 => ("Redirect", &["Net", "Host", "TOS+Net", "TOS+Host"]),
        8 => ("EchoRequest", &[]),
        9 => ("RouterAdvertisement", &[]),
        10 => ("RouterSolicitation", &[]),
        11 => (
            "TimeExceeded",
            &["TTLExceeded", "FragmentReassemblyTimeExceeded"],
        ),
        12 => (
            "ParameterProblem",
            &["PointerIndicatesError", "MissingOption", "BadLength"],
        ),
        13 => ("TimestampRequest", &[]),
        14 => ("TimestampReply", &[]),
        15 => ("InfoRequest", &[]),
        16 => ("InfoReply", &[]),
        17 => ("AddressMaskRequest", &[]),
        18 => ("AddressMaskReply", &[]),
        _ => return None,
    };
    Some(words)
}

const UNREACHABLE: &[&str] = &[
    "Net",
    "Host",
    "Protocol",
    "Port",
    "FragmentationNeeded",
    "SourceRoutingFailed",
    "NetUnknown",
    "HostUnknown",
    "SourceIsolated",
    "NetAdminProhibited",
    "HostAdminProhibited",
    "NetTOS",
    "HostTOS",
    "CommAdminProhibited",
    "HostPrecedence",
    "PrecedenceCutoff",
];

fn icmpv6(kind: u8) -> Option<IcmpWords> {
    let words: IcmpWords = match kind {
        1 => (
            "DestinationUnreachable",
            &[
                "NoRouteToDst",
                "AdminProhibited",
                "BeyondScopeOfSrc",
                "AddressUnreachable",
                "PortUnreachable",
                "SrcAddressFailedPolicy",
                "RejectRouteToDst",
            ],
        ),
        2 => ("PacketTooBig", &[]),
        3 => (
            "TimeExceeded",
            &["HopLimitExceeded", "FragmentReassemblyTimeExceeded"],
        ),
        4 => (
            "ParameterProblem",
            &[
                "ErroneousHeaderField",
                "UnrecognizedNextHeader",
                "UnrecognizedNextHeader",
            ],
        ),
        128 => ("EchoRequest", &[]),
        129 => ("EchoReply", &[]),
        133 => ("RouterSolicitation", &[]),
        134 => ("RouterAdvertisement", &[]),
        135 => ("NeighborSolicitation", &[]),
        136 => ("NeighborAdvertisement", &[]),
        137 => ("Redirect", &[]),
        _ => return None,
    };
    Some(words)
}
