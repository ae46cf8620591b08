//! Ports and ICMP types.

use cilium_api::policy::{
    Refusal,
    rule::{IcmpField, IcmpRule, PortProtocol, PortRule},
};
use k8s_openapi::{
    api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString,
};

use super::Context;
use crate::{
    fault::Fault,
    rule::{Ports, Prefix},
};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const MOST_PORTS: usize = 40;

/// ICMP types of IPv4 by the names Cilium gives them.
const ICMP_NAMES: [(&str, u16); 14] = [
    ("EchoReply", 0),
    ("DestinationUnreachable", 3),
    ("Redirect", 5),
    ("Echo", 8),
    ("EchoRequest", 8),
    ("RouterAdvertisement", 9),
    ("RouterSelection", 10),
    ("TimeExceeded", 11),
    ("ParameterProblem", 12),
    ("Timestamp", 13),
    ("TimestampReply", 14),
    ("Photuris", 40),
    ("ExtendedEchoRequest", 42),
    ("ExtendedEchoReply", 43),
];

/// Ports of a NetworkPolicy's rule; none given is every protocol.
pub(super) fn of_network_policy(
    path: &str,
    ports: &[NetworkPolicyPort],
    context: Context<'_>,
) -> Result<Vec<Ports>, Refusal> {
    if ports.is_empty() {
        return Ok(vec![Ports::ALL]);
    }
    let mut all = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        let at = format!("{path}.ports[{i}]");
        let protocols = match port.protocol.as_deref().unwrap_or("TCP") {
            "TCP" if context.faults.has(Fault::ProtocolForgotten) => vec![TCP, UDP, SCTP],
            "TCP" => vec![TCP],
            "UDP" => vec![UDP],
            "SCTP" => vec![SCTP],
            other => return Err(unknown_protocol(&at, other)),
        };
        let text = match &port.port {
            None => None,
            Some(IntOrString::Int(number)) => Some(number.to_string()),
            Some(IntOrString::String(name)) => Some(name.clone()),
        };
        all.extend(one(&at, text.as_deref(), port.end_port, &protocols)?);
    }
    Ok(all)
}

/// Ports of a Cilium rule; `None` when it names none.
pub(super) fn of_cilium(
    path: &str,
    rules: &[PortRule],
    icmps: &[IcmpRule],
    context: Context<'_>,
) -> Result<Option<Vec<Ports>>, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut all = Vec::new();
    if !rules.is_empty() && !icmps.is_empty() {
        refusals.push(Refusal::new(
            format!("{path}.icmps"),
            "stands beside toPorts; write two rules",
        ));
    }
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("{path}.toPorts[{i}]");
        refusals.extend(unsupported(&at, rule));
        match ports_of(&at, rule.ports.as_deref().unwrap_or_default(), context) {
            Ok(ports) => all.extend(ports),
            Err(refusal) => refusals.push(refusal),
        }
    }
    for (i, rule) in icmps.iter().enumerate() {
        let at = format!("{path}.icmps[{i}]");
        match types_of(&at, rule.fields.as_deref().unwrap_or_default()) {
            Ok(types) => all.extend(types),
            Err(refusal) => refusals.push(refusal),
        }
    }
    match refusals.is_empty() {
        true if rules.is_empty() && icmps.is_empty() => Ok(None),
        true => Ok(Some(all)),
        false => Err(refusals),
    }
}

fn unsupported(path: &str, rule: &PortRule) -> Vec<Refusal> {
    let l7 = rule
        .rules
        .as_ref()
        .is_some_and(|r| r.http.is_some() || r.dns.is_some());
    [
        ("rules", l7),
        ("terminatingTLS", rule.terminating_tls.is_some()),
        ("originatingTLS", rule.originating_tls.is_some()),
        ("serverNames", rule.server_names.is_some()),
        ("listener", rule.listener.is_some()),
    ]
    .into_iter()
    .filter(|(_, present)| *present)
    .map(|(name, _)| {
        Refusal::new(
            format!("{path}.{name}"),
            "needs a proxy, which is not supported; the rule is not followed as long as it is there",
        )
    })
    .collect()
}

fn ports_of(
    path: &str,
    ports: &[PortProtocol],
    context: Context<'_>,
) -> Result<Vec<Ports>, Refusal> {
    if ports.is_empty() || ports.len() > MOST_PORTS {
        return Err(Refusal::new(
            format!("{path}.ports"),
            format!("holds {} ports; list 1 to {MOST_PORTS}", ports.len()),
        ));
    }
    let mut all = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        let at = format!("{path}.ports[{i}]");
        let protocols = match port.protocol.as_deref().unwrap_or("ANY") {
            "TCP" if context.faults.has(Fault::ProtocolForgotten) => vec![TCP, UDP, SCTP],
            "ANY" => vec![TCP, UDP, SCTP],
            "TCP" => vec![TCP],
            "UDP" => vec![UDP],
            "SCTP" => vec![SCTP],
            other => return Err(unknown_protocol(&at, other)),
        };
        let end = port.end_port.filter(|end| *end != 0);
        match port.port.as_deref() {
            None | Some("") => {
                return Err(Refusal::new(
                    format!("{at}.port"),
                    "is absent; name a port, or 0 for all",
                ));
            }
            Some("0") if end.is_none() => all.extend(one(&at, None, None, &protocols)?),
            text => all.extend(one(&at, text, end, &protocols)?),
        }
    }
    Ok(all)
}

/// One port, range or name for each of the protocols; no text is every port.
fn one(
    path: &str,
    text: Option<&str>,
    end: Option<i32>,
    protocols: &[u8],
) -> Result<Vec<Ports>, Refusal> {
    let each =
        |prefixes: &dyn Fn(u8) -> Vec<Ports>| protocols.iter().flat_map(|p| prefixes(*p)).collect();
    let Some(text) = text else {
        return match end {
            None => Ok(each(&|p| vec![Ports::Prefix(Prefix::protocol(p))])),
            Some(_) => Err(Refusal::new(
                format!("{path}.endPort"),
                "ends a range without a beginning; give port",
            )),
        };
    };
    let Ok(number) = text.parse::<i64>() else {
        return match end {
            None => Ok(each(&|protocol| {
                vec![Ports::Named {
                    name: text.to_lowercase(),
                    protocol,
                }]
            })),
            Some(_) => Err(Refusal::new(
                format!("{path}.endPort"),
                format!("{text:?} is a name, which begins no range; give a number"),
            )),
        };
    };
    let first = port_number(&format!("{path}.port"), number)?;
    let last = match end {
        None => first,
        Some(end) => port_number(&format!("{path}.endPort"), end.into())?,
    };
    if last < first {
        return Err(Refusal::new(
            format!("{path}.endPort"),
            format!("{last} is below the first port {first}; swap them"),
        ));
    }
    Ok(each(&|p| {
        Prefix::range(p, first, last)
            .into_iter()
            .map(Ports::Prefix)
            .collect()
    }))
}

fn port_number(path: &str, number: i64) -> Result<u16, Refusal> {
    u16::try_from(number)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| Refusal::new(path, format!("{number} is no port; ports are 1 to 65535")))
}

fn types_of(path: &str, fields: &[IcmpField]) -> Result<Vec<Ports>, Refusal> {
    if fields.is_empty() || fields.len() > MOST_PORTS {
        return Err(Refusal::new(
            format!("{path}.fields"),
            format!("holds {} types; list 1 to {MOST_PORTS}", fields.len()),
        ));
    }
    let mut all = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        let at = format!("{path}.fields[{i}]");
        match field.family.as_deref() {
            None | Some("IPv4") => {
                let number = icmp_type(&at, &field.type_)?;
                all.push(Ports::Prefix(Prefix::port(ICMP, number)));
            }
            // No packet of ours is IPv6, so that every type of it is met by none.
            Some("IPv6") => {}
            Some(other) => {
                return Err(Refusal::new(
                    format!("{at}.family"),
                    format!("{other:?} is no family; use IPv4 or IPv6"),
                ));
            }
        }
    }
    Ok(all)
}

fn icmp_type(path: &str, type_: &IntOrString) -> Result<u16, Refusal> {
    let number = match type_ {
        IntOrString::Int(number) => u8::try_from(*number).ok().map(u16::from),
        IntOrString::String(text) => ICMP_NAMES
            .iter()
            .find(|(name, _)| name == text)
            .map(|(_, number)| *number)
            .or_else(|| text.parse::<u8>().ok().map(u16::from)),
    };
    number.ok_or_else(|| {
        Refusal::new(
            format!("{path}.type"),
            "is no ICMP type; use 0 to 255 or a name such as EchoRequest",
        )
    })
}

fn unknown_protocol(path: &str, protocol: &str) -> Refusal {
    Refusal::new(
        format!("{path}.protocol"),
        format!("{protocol:?} is not supported here; use TCP, UDP or SCTP, and icmps for ICMP"),
    )
}
