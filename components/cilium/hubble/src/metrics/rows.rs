//! Which series of a metric a flow belongs to. Pure.
//!
//! A policy's verdict is about a packet that is told of again, as dropped or as let through. So that it is counted once, only the
//! metric of all flows counts verdicts.

use cilium_api::HubbleMetric;
use cilium_api::hubble_metrics::{Context, ContextLabel, Contexts, End, Flag, MetricName, Part};

use super::Seen;
use crate::{
    event::{Kind, point_name},
    flow::{self, icmp_name},
    packet::L4,
    proto::flow::{DropReason, Verdict},
};

/// Delivered to an endpoint, in Cilium's numbers of observation points.
const TO_ENDPOINT: u8 = 0;
const FIN: u16 = 1;
const SYN: u16 = 1 << 1;
const RST: u16 = 1 << 2;
const ACK: u16 = 1 << 4;

/// One series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Values of [`label_names`].
    pub labels: Vec<String>,
    /// Ends that the labels name one by one, so that a pod there has series of its own.
    pub named: Vec<End>,
}

/// The labels of a metric: its own, then those it was given.
pub fn label_names(metric: &HubbleMetric) -> Vec<&'static str> {
    let mut names = match metric.name {
        MetricName::Drop => vec!["reason", "protocol"],
        MetricName::Flow => vec!["protocol", "type", "subtype", "verdict"],
        MetricName::FlowsToWorld if metric.has(Flag::Port) => vec!["protocol", "verdict", "port"],
        MetricName::FlowsToWorld => vec!["protocol", "verdict"],
        MetricName::Icmp => vec!["family", "type"],
        MetricName::PortDistribution => vec!["protocol", "port"],
        MetricName::Tcp => vec!["flag", "family"],
    };
    names.extend(metric.labels.iter().map(|label| label.word()));
    let ends = [
        ("source", &metric.source),
        ("destination", &metric.destination),
    ];
    let given = ends
        .into_iter()
        .filter(|(_, contexts)| !contexts.is_empty());
    names.extend(given.map(|(name, _)| name));
    names
}

/// The series of `metric` that `seen` counts in; none when it is not about this flow.
pub fn rows(metric: &HubbleMetric, seen: &Seen<'_>) -> Vec<Row> {
    let own = own(metric, seen);
    if own.is_empty() {
        return Vec::new();
    }
    let (given, named) = given(metric, seen);
    own.into_iter()
        .map(|mut labels| {
            labels.extend_from_slice(&given);
            Row {
                labels,
                named: named.clone(),
            }
        })
        .collect()
}

/// Values of the metric's own labels.
fn own(metric: &HubbleMetric, seen: &Seen<'_>) -> Vec<Vec<String>> {
    let one = match metric.name {
        MetricName::Drop => drops(seen),
        MetricName::Flow => flows(metric, seen),
        MetricName::FlowsToWorld => to_world(metric, seen),
        MetricName::Icmp => icmp(seen),
        MetricName::PortDistribution => port(seen),
        MetricName::Tcp => return tcp(seen),
    };
    one.into_iter().collect()
}

fn drops(seen: &Seen<'_>) -> Option<Vec<String>> {
    let Kind::Drop { reason } = seen.kind() else {
        return None;
    };
    let name = DropReason::try_from(i32::from(reason))
        .map_or_else(|_| reason.to_string(), |name| name.as_str_name().to_owned());
    Some(vec![name, protocol(seen).to_owned()])
}

fn flows(metric: &HubbleMetric, seen: &Seen<'_>) -> Option<Vec<String>> {
    let requests = !metric.has(Flag::RequestsOnly) || is_request(seen);
    let both = || [End::Source, End::Destination].map(|end| seen.workload(end).is_some());
    if !requests || metric.has(Flag::WorkloadsOnly) && both() != [true; 2] {
        return None;
    }
    let (kind, subtype) = match seen.kind() {
        Kind::Drop { .. } => ("Drop", ""),
        Kind::Trace { point } => ("Trace", point_name(point).unwrap_or_default()),
        Kind::PolicyVerdict { .. } => ("PolicyVerdict", ""),
    };
    let words = [protocol(seen), kind, subtype, verdict(seen).as_str_name()];
    Some(words.map(str::to_owned).into())
}

/// What a client sent, where it reached its endpoint or where it was dropped. Of a drop it is seldom known that it was an answer.
fn is_request(seen: &Seen<'_>) -> bool {
    let told = matches!(
        seen.kind(),
        Kind::Trace { point: TO_ENDPOINT } | Kind::Drop { .. }
    );
    told && !seen.answers()
}

/// Without `any-drop` only what policy dropped: the rest says more about this node than about who talks to the world.
fn to_world(metric: &HubbleMetric, seen: &Seen<'_>) -> Option<Vec<String>> {
    let l4 = seen.l4().filter(|_| seen.goes_to_world())?;
    let counts = match seen.kind() {
        Kind::PolicyVerdict { .. } => false,
        Kind::Drop { reason } => {
            let by_policy = matches!(
                DropReason::try_from(i32::from(reason)),
                Ok(DropReason::PolicyDenied | DropReason::PolicyDeny)
            );
            by_policy || metric.has(Flag::AnyDrop)
        }
        Kind::Trace { .. } => !seen.answers(),
    };
    let opens = matches!(l4, L4::Tcp { flags, .. } if flags & SYN != 0) && !seen.answers();
    if !counts || metric.has(Flag::SynOnly) && !opens {
        return None;
    }
    let mut labels = vec![
        protocol(seen).to_owned(),
        verdict(seen).as_str_name().to_owned(),
    ];
    if metric.has(Flag::Port) {
        let port = l4.ports().map(|(_, port, _)| port.to_string());
        labels.push(port.unwrap_or_default());
    }
    Some(labels)
}

fn icmp(seen: &Seen<'_>) -> Option<Vec<String>> {
    let (six, kind, code) = match seen.l4()? {
        L4::Icmpv4 { kind, code } => (false, kind, code),
        L4::Icmpv6 { kind, code } => (true, kind, code),
        _ => return None,
    };
    if matches!(seen.kind(), Kind::PolicyVerdict { .. }) {
        return None;
    }
    let family = seen.family().unwrap_or_default().to_owned();
    Some(vec![family, icmp_name(six, kind, code)])
}

/// An answer's port is whatever the client had free.
fn port(seen: &Seen<'_>) -> Option<Vec<String>> {
    let is_trace = matches!(seen.kind(), Kind::Trace { .. });
    if !is_trace || seen.is_reply() != Some(false) {
        return None;
    }
    let port = seen.l4()?.ports().map_or(0, |(_, port, _)| port);
    Some(vec![protocol(seen).to_owned(), port.to_string()])
}

fn tcp(seen: &Seen<'_>) -> Vec<Vec<String>> {
    let (Some(L4::Tcp { flags, .. }), Kind::Trace { .. }) = (seen.l4(), seen.kind()) else {
        return Vec::new();
    };
    let syn = if flags & ACK != 0 { "SYN-ACK" } else { "SYN" };
    let words = [(FIN, "FIN"), (SYN, syn), (RST, "RST")];
    let family = seen.family().unwrap_or_default();
    words
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .map(|(_, word)| vec![word.to_owned(), family.to_owned()])
        .collect()
}

/// Values of the labels that the configuration gave, and the ends they name one by one.
fn given(metric: &HubbleMetric, seen: &Seen<'_>) -> (Vec<String>, Vec<End>) {
    let mut values: Vec<String> = metric
        .labels
        .iter()
        .map(|label| seen.label(*label))
        .collect();
    let single = metric.labels.iter().filter_map(|label| match label {
        ContextLabel::Of(end, Part::Pod | Part::Ip) => Some(*end),
        _ => None,
    });
    let mut named: Vec<End> = single.collect();
    let ends = [
        (End::Source, &metric.source),
        (End::Destination, &metric.destination),
    ];
    for (end, contexts) in ends
        .into_iter()
        .filter(|(_, contexts)| !contexts.is_empty())
    {
        let (value, by) = first(contexts, end, seen);
        values.push(value);
        if matches!(by, Some(Context::Pod | Context::PodName | Context::Ip)) {
            named.push(end);
        }
    }
    (values, named)
}

/// The first context that says something, and which it was.
fn first(contexts: &Contexts, end: End, seen: &Seen<'_>) -> (String, Option<Context>) {
    let list = match seen.direction() {
        "egress" if !contexts.egress.is_empty() => &contexts.egress,
        "ingress" if !contexts.ingress.is_empty() => &contexts.ingress,
        _ => &contexts.any,
    };
    let mut values = list.iter().map(|by| (seen.context(end, *by), Some(*by)));
    values
        .find(|(value, _)| !value.is_empty())
        .unwrap_or_default()
}

fn verdict(seen: &Seen<'_>) -> Verdict {
    flow::verdict(seen.kind())
}

fn protocol(seen: &Seen<'_>) -> &'static str {
    match seen.l4() {
        Some(L4::Tcp { .. }) => "TCP",
        Some(L4::Udp { .. }) => "UDP",
        Some(L4::Sctp { .. }) => "SCTP",
        Some(L4::Icmpv4 { .. }) => "ICMPv4",
        Some(L4::Icmpv6 { .. }) => "ICMPv6",
        Some(L4::Vrrp { .. }) => "VRRP",
        Some(L4::Igmp { .. }) => "IGMP",
        None => "Unknown L4",
    }
}
