//! Makes a flow of an event: what Hubble's clients see.

pub(crate) mod endpoint;
mod headers;
mod summary;

use std::sync::Arc;

use crate::{
    event::{Direction, Kind, PacketEvent},
    names::{Endpoint, Names, Policy},
    packet::{self, Headers, L4},
    proto::flow::{
        CiliumEventType, Emitter, Flow, FlowType, NetworkInterface, Policy as FlowPolicy, Service,
        TraceObservationPoint, TraceReason, TrafficDirection, Verdict,
    },
};

pub use summary::icmp_name;

const MESSAGE_DROP: i32 = 1;
const MESSAGE_TRACE: i32 = 4;
const MESSAGE_VERDICT: i32 = 5;
const POLICY_DENIED: u32 = 133;
const POLICY_DENY: u32 = 181;

/// Who has a packet's two addresses, as known when it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    pub source: Option<Arc<Endpoint>>,
    pub destination: Option<Arc<Endpoint>>,
}

impl Parties {
    /// Asks who has the addresses of `event` now.
    pub fn of(event: &PacketEvent, names: &dyn Names) -> Self {
        match packet::read(event.packet.bytes()).ip {
            Some(ip) => Self {
                source: names.endpoint(ip.source),
                destination: names.endpoint(ip.destination),
            },
            None => Self::default(),
        }
    }
}

/// What all flows of a node have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `cluster/node`.
    pub node: String,
    pub node_labels: Vec<String>,
    /// Of the program that emits the flows, `1.20.2`.
    pub version: String,
}

/// Makes the flow of `event`, asking `names` now for who has its addresses. The flow has no uuid and no node.
pub fn build(event: &PacketEvent, names: &dyn Names) -> Flow {
    build_with(event, &Parties::of(event, names), names)
}

/// Makes the flow of `event` between parties that were found out earlier. The flow has no uuid and no node.
pub fn build_with(event: &PacketEvent, parties: &Parties, names: &dyn Names) -> Flow {
    let read = packet::read(event.packet.bytes());
    let source = endpoint::resolve(parties.source.as_deref(), event.source_identity, names);
    let destination = endpoint::resolve(
        parties.destination.as_deref(),
        event.destination_identity,
        names,
    );
    let is_reply = is_reply(event);
    let drop_reason = drop_reason(event.kind);
    #[expect(
        deprecated,
        reason = "older clients read drop_reason, reply and Summary; Cilium fills them too"
    )]
    let mut flow = Flow {
        time: Some(timestamp(event.time)),
        verdict: verdict(event.kind).into(),
        drop_reason,
        drop_reason_desc: i32::try_from(drop_reason).unwrap_or_default(),
        ethernet: read.ethernet.as_ref().map(headers::ethernet),
        ip: read.ip.as_ref().map(headers::ip),
        l4: read.l4.map(headers::l4),
        traffic_direction: direction(event, source.id).into(),
        source: Some(source),
        destination: Some(destination),
        r#type: FlowType::L3L4.into(),
        reply: is_reply.unwrap_or_default(),
        is_reply,
        event_type: Some(event_type(event.kind)),
        interface: interface(event.ifindex, names),
        summary: summary::of(&read),
        ..Flow::default()
    };
    services(&mut flow, &read, names);
    trace(&mut flow, event);
    policy(&mut flow, event, drop_reason, names);
    flow
}

impl Origin {
    /// Says where `flow` was seen, and which flow it is.
    pub fn mark(&self, flow: &mut Flow, uuid: String) {
        flow.uuid = uuid;
        flow.node_name.clone_from(&self.node);
        flow.node_labels.clone_from(&self.node_labels);
        flow.emitter = Some(Emitter {
            name: "Hubble".to_owned(),
            version: self.version.clone(),
        });
    }
}

/// Nanoseconds since 1970 in the protocol's form.
pub fn timestamp(nanos: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: nanos.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

pub(crate) fn verdict(kind: Kind) -> Verdict {
    match kind {
        Kind::Drop { .. } => Verdict::Dropped,
        Kind::Trace { .. } => Verdict::Forwarded,
        Kind::PolicyVerdict { verdict, .. } => match verdict {
            ..0 => Verdict::Dropped,
            0 => Verdict::Forwarded,
            1.. => Verdict::Redirected,
        },
    }
}

fn drop_reason(kind: Kind) -> u32 {
    match kind {
        Kind::Drop { reason } => reason.into(),
        Kind::PolicyVerdict {
            verdict: verdict @ ..0,
            ..
        } => verdict.unsigned_abs(),
        Kind::PolicyVerdict { .. } | Kind::Trace { .. } => 0,
    }
}

/// The first packet of an allowed connection is what a verdict is about, so it answers nothing. A drop does not say.
fn is_reply(event: &PacketEvent) -> Option<bool> {
    match event.kind {
        Kind::Trace { .. } => event.is_reply,
        Kind::PolicyVerdict { verdict: 0.., .. } => Some(false),
        Kind::PolicyVerdict { .. } | Kind::Drop { .. } => None,
    }
}

/// The direction of the connection, not of the packet: a reply to an endpoint is part of its egress.
pub(crate) fn direction(event: &PacketEvent, source_endpoint: u32) -> TrafficDirection {
    let from_endpoint = u32::from(event.endpoint_id) == source_endpoint;
    let egress = match (event.kind, event.is_reply) {
        (Kind::PolicyVerdict { .. }, _) => event.direction == Direction::Egress,
        _ if event.endpoint_id == 0 => return TrafficDirection::Unknown,
        (Kind::Drop { .. }, _) => from_endpoint,
        (Kind::Trace { .. }, Some(reply)) => from_endpoint != reply,
        (Kind::Trace { .. }, None) => return TrafficDirection::Unknown,
    };
    if egress {
        TrafficDirection::Egress
    } else {
        TrafficDirection::Ingress
    }
}

fn event_type(kind: Kind) -> CiliumEventType {
    let (r#type, sub_type) = match kind {
        Kind::Drop { reason } => (MESSAGE_DROP, reason.into()),
        Kind::Trace { point } => (MESSAGE_TRACE, point.into()),
        Kind::PolicyVerdict { .. } => (MESSAGE_VERDICT, 0),
    };
    CiliumEventType { r#type, sub_type }
}

fn interface(index: u32, names: &dyn Names) -> Option<NetworkInterface> {
    (index != 0).then(|| NetworkInterface {
        index,
        name: names.interface(index).unwrap_or_default(),
    })
}

fn services(flow: &mut Flow, read: &Headers, names: &dyn Names) {
    let (Some(ip), Some((source, destination, protocol))) =
        (read.ip, read.l4.as_ref().and_then(L4::ports))
    else {
        return;
    };
    let service = |address, port| {
        names
            .service(address, port, protocol)
            .map(|service| Service {
                name: service.name,
                namespace: service.namespace,
            })
    };
    flow.source_service = service(ip.source, source);
    flow.destination_service = service(ip.destination, destination);
}

/// The datapath's point 0 is the way to an endpoint; in the protocol 0 would mean that it is not known.
fn trace(flow: &mut Flow, event: &PacketEvent) {
    let Kind::Trace { point } = event.kind else {
        return;
    };
    flow.trace_observation_point = match point {
        0 => TraceObservationPoint::ToEndpoint.into(),
        point => point.into(),
    };
    if event.is_reply == Some(true) {
        flow.trace_reason = TraceReason::Reply.into();
    }
}

fn policy(flow: &mut Flow, event: &PacketEvent, drop_reason: u32, names: &dyn Names) {
    let Kind::PolicyVerdict {
        verdict,
        match_type,
    } = event.kind
    else {
        return;
    };
    flow.policy_match_type = match_type.into();
    let allowed = verdict >= 0;
    if event.cookie == 0 || !(allowed || drop_reason == POLICY_DENIED || drop_reason == POLICY_DENY)
    {
        return;
    }
    let policies = names
        .policies(event.cookie)
        .into_iter()
        .map(flow_policy)
        .collect();
    match (event.direction, allowed) {
        (Direction::Egress, true) => flow.egress_allowed_by = policies,
        (Direction::Egress, false) => flow.egress_denied_by = policies,
        (Direction::Ingress, true) => flow.ingress_allowed_by = policies,
        (Direction::Ingress, false) => flow.ingress_denied_by = policies,
    }
}

fn flow_policy(policy: Policy) -> FlowPolicy {
    FlowPolicy {
        name: policy.name,
        namespace: policy.namespace,
        labels: policy.labels,
        revision: policy.revision,
        kind: policy.kind,
    }
}

#[cfg(test)]
mod tests;
