//! A flow as its labels see it: asked for one thing at a time, and what nobody asks for is not made.

use std::net::IpAddr;

use cilium_api::hubble_metrics::{Context, ContextLabel, End, Part};

use super::Pod;
use crate::{
    event::{Kind, PacketEvent},
    flow::{self, Parties, endpoint},
    names::{Endpoint, Names, Workload},
    packet::{self, Headers, L4},
    proto::flow::TrafficDirection,
};

const KUBE_APISERVER: &str = "reserved:kube-apiserver";
/// Labels by which pods say what they are.
const APP: [&str; 3] = ["k8s:app.kubernetes.io/name=", "k8s:k8s-app=", "k8s:app="];

/// An event, who has its addresses, and what its packet's headers say.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    event: &'a PacketEvent,
    parties: &'a Parties,
    names: &'a dyn Names,
    headers: Headers,
}

impl<'a> Seen<'a> {
    pub fn of(event: &'a PacketEvent, parties: &'a Parties, names: &'a dyn Names) -> Self {
        Self {
            event,
            parties,
            names,
            headers: packet::read(event.packet.bytes()),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.event.kind
    }

    pub(super) fn is_reply(&self) -> Option<bool> {
        self.event.is_reply
    }

    pub(super) fn answers(&self) -> bool {
        self.is_reply() == Some(true)
    }

    pub(super) fn l4(&self) -> Option<L4> {
        self.headers.l4
    }

    /// The version of IP in the words of the protocol.
    pub(super) fn family(&self) -> Option<&'static str> {
        match self.headers.ip?.source {
            IpAddr::V4(_) => Some("IPv4"),
            IpAddr::V6(_) => Some("IPv6"),
        }
    }

    pub(super) fn goes_to_world(&self) -> bool {
        endpoint::is_world(endpoint::identity(
            self.party(End::Destination),
            self.event.destination_identity,
        ))
    }

    pub(super) fn workload(&self, end: End) -> Option<&'a Workload> {
        self.party(end)?.workloads.first()
    }

    pub(super) fn pod(&self, end: End) -> Option<Pod> {
        let party = self.party(end).filter(|party| !party.pod.is_empty())?;
        Some(Pod {
            namespace: party.namespace.clone(),
            name: party.pod.clone(),
        })
    }

    /// Empty where it is not known.
    pub(super) fn label(&self, label: ContextLabel) -> String {
        match label {
            ContextLabel::Of(end, part) => self.part(end, part),
            ContextLabel::TrafficDirection => self.direction().to_owned(),
        }
    }

    /// Empty where it is not known.
    pub(super) fn context(&self, end: End, context: Context) -> String {
        match context {
            Context::Identity => self.labels(end).join(","),
            Context::Namespace => self.part(end, Part::Namespace),
            Context::Pod => self.in_namespace(end, self.part(end, Part::Pod)),
            Context::PodName => self.part(end, Part::Pod),
            Context::Ip => self.part(end, Part::Ip),
            Context::ReservedIdentity => reserved(&self.labels(end)),
            Context::Workload => self.in_namespace(end, self.part(end, Part::Workload)),
            Context::WorkloadName => self.part(end, Part::Workload),
            Context::App => self.part(end, Part::App),
        }
    }

    /// Of the connection, not of the packet.
    pub(super) fn direction(&self) -> &'static str {
        let source = self.party(End::Source).map_or(0, |party| party.id);
        match flow::direction(self.event, source.into()) {
            TrafficDirection::Egress => "egress",
            TrafficDirection::Ingress => "ingress",
            TrafficDirection::Unknown => "unknown",
        }
    }

    fn part(&self, end: End, part: Part) -> String {
        let party = self.party(end);
        match part {
            Part::Ip => self.address(end).map(|address| address.to_string()),
            Part::Namespace => party.map(|party| party.namespace.clone()),
            Part::Pod => party.map(|party| party.pod.clone()),
            Part::Workload => self.workload(end).map(|workload| workload.name.clone()),
            Part::WorkloadKind => self.workload(end).map(|workload| workload.kind.clone()),
            Part::App => app(&self.labels(end)),
        }
        .unwrap_or_default()
    }

    /// What has no name has none in a namespace either.
    fn in_namespace(&self, end: End, name: String) -> String {
        match self.party(end) {
            Some(party) if !name.is_empty() && !party.namespace.is_empty() => {
                format!("{}/{name}", party.namespace)
            }
            _ => name,
        }
    }

    fn labels(&self, end: End) -> Vec<String> {
        let seen = match end {
            End::Source => self.event.source_identity,
            End::Destination => self.event.destination_identity,
        };
        endpoint::labels(self.party(end), seen, self.names)
    }

    fn address(&self, end: End) -> Option<IpAddr> {
        let ip = self.headers.ip?;
        Some(match end {
            End::Source => ip.source,
            End::Destination => ip.destination,
        })
    }

    fn party(&self, end: End) -> Option<&'a Endpoint> {
        match end {
            End::Source => self.parties.source.as_deref(),
            End::Destination => self.parties.destination.as_deref(),
        }
    }
}

impl std::fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("event", self.event)
            .finish_non_exhaustive()
    }
}

/// The API server's before others: it may be outside of the cluster, too.
pub(super) fn reserved(labels: &[String]) -> String {
    let all = || labels.iter().filter(|label| label.starts_with("reserved:"));
    let server = all().find(|label| *label == KUBE_APISERVER);
    server.or_else(|| all().next()).cloned().unwrap_or_default()
}

fn app(labels: &[String]) -> Option<String> {
    let value = |label: &String| {
        let mut names = APP.iter();
        let value = names.find_map(|name| label.strip_prefix(name))?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    labels.iter().find_map(value)
}
