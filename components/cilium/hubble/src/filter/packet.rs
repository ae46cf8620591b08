//! Filters on protocols, ports and flags.

use super::{Condition, FilterError};
use crate::proto::flow::{Flow, FlowFilter, TcpFlags, layer4::Protocol};

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    if !filter.protocol.is_empty() {
        let wanted = filter
            .protocol
            .iter()
            .map(|name| Wanted::parse(name))
            .collect::<Result<Vec<_>, _>>()?;
        conditions.push(Box::new(move |flow| {
            protocol(flow).is_some_and(|has| wanted.iter().any(|wanted| wanted.matches(has)))
        }));
    }
    if !filter.source_port.is_empty() {
        let wanted = ports("source_port", &filter.source_port)?;
        conditions.push(Box::new(move |flow| {
            flow_ports(flow).is_some_and(|(source, _)| wanted.contains(&source))
        }));
    }
    if !filter.destination_port.is_empty() {
        let wanted = ports("destination_port", &filter.destination_port)?;
        conditions.push(Box::new(move |flow| {
            flow_ports(flow).is_some_and(|(_, destination)| wanted.contains(&destination))
        }));
    }
    if !filter.tcp_flags.is_empty() {
        let wanted = filter.tcp_flags.clone();
        conditions.push(Box::new(move |flow| {
            tcp_flags(flow)
                .is_some_and(|has| wanted.iter().any(|wanted| bits(wanted) & !bits(has) == 0))
        }));
    }
    Ok(())
}

/// Cilium's names of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmpv4,
    Icmpv6,
    Vrrp,
    Igmp,
}

impl Wanted {
    fn parse(name: &str) -> Result<Self, FilterError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            "icmp" => Self::Icmp,
            "icmpv4" => Self::Icmpv4,
            "icmpv6" => Self::Icmpv6,
            "vrrp" => Self::Vrrp,
            "igmp" => Self::Igmp,
            "dns" | "http" => {
                return Err(FilterError::Unserved {
                    field: "protocol",
                    reason: "this node does not look into HTTP or DNS",
                });
            }
            _ => {
                return Err(FilterError::Value {
                    field: "protocol",
                    value: name.to_owned(),
                    expected: "protocol: choose tcp, udp, sctp, icmp, icmpv4, icmpv6, vrrp or igmp",
                });
            }
        })
    }

    fn matches(self, has: &Protocol) -> bool {
        match has {
            Protocol::Tcp(_) => self == Self::Tcp,
            Protocol::Udp(_) => self == Self::Udp,
            Protocol::Sctp(_) => self == Self::Sctp,
            Protocol::IcmPv4(_) => self == Self::Icmp || self == Self::Icmpv4,
            Protocol::IcmPv6(_) => self == Self::Icmp || self == Self::Icmpv6,
            Protocol::Vrrp(_) => self == Self::Vrrp,
            Protocol::Igmp(_) => self == Self::Igmp,
        }
    }
}

fn ports(field: &'static str, values: &[String]) -> Result<Vec<u32>, FilterError> {
    let port = |value: &String| {
        let parsed = value
            .parse::<u16>()
            .ok()
            .filter(|_| !value.starts_with('+'));
        parsed.map(u32::from).ok_or_else(|| FilterError::Value {
            field,
            value: value.clone(),
            expected: "port: write a number from 0 to 65535",
        })
    };
    values.iter().map(port).collect()
}

fn protocol(flow: &Flow) -> Option<&Protocol> {
    flow.l4.as_ref()?.protocol.as_ref()
}

fn flow_ports(flow: &Flow) -> Option<(u32, u32)> {
    match protocol(flow)? {
        Protocol::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
        Protocol::Udp(udp) => Some((udp.source_port, udp.destination_port)),
        Protocol::Sctp(sctp) => Some((sctp.source_port, sctp.destination_port)),
        Protocol::IcmPv4(_) | Protocol::IcmPv6(_) | Protocol::Vrrp(_) | Protocol::Igmp(_) => None,
    }
}

fn tcp_flags(flow: &Flow) -> Option<&TcpFlags> {
    match protocol(flow)? {
        Protocol::Tcp(tcp) => tcp.flags.as_ref(),
        _ => None,
    }
}

fn bits(flags: &TcpFlags) -> u16 {
    let TcpFlags {
        fin,
        syn,
        rst,
        psh,
        ack,
        urg,
        ece,
        cwr,
        ns,
    } = *flags;
    [fin, syn, rst, psh, ack, urg, ece, cwr, ns]
        .into_iter()
        .fold(0, |bits, set| bits << 1 | u16::from(set))
}
