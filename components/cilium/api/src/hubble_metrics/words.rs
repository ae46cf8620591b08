//! The words of an entry.

/// A metric of Hubble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricName {
    /// Packets that were dropped.
    Drop,
    /// Flows of every kind.
    Flow,
    /// What was sent to addresses outside the cluster.
    FlowsToWorld,
    /// ICMP messages.
    Icmp,
    /// What was sent to which port.
    PortDistribution,
    /// TCP flags that open and end connections.
    Tcp,
}

impl MetricName {
    pub const ALL: [Self; 6] = [
        Self::Drop,
        Self::Flow,
        Self::FlowsToWorld,
        Self::Icmp,
        Self::PortDistribution,
        Self::Tcp,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Flow => "flow",
            Self::FlowsToWorld => "flows-to-world",
            Self::Icmp => "icmp",
            Self::PortDistribution => "port-distribution",
            Self::Tcp => "tcp",
        }
    }

    /// Options of this metric alone.
    pub const fn flags(self) -> &'static [Flag] {
        match self {
            Self::Flow => &[Flag::RequestsOnly, Flag::WorkloadsOnly],
            Self::FlowsToWorld => &[Flag::AnyDrop, Flag::Port, Flag::SynOnly],
            Self::Drop | Self::Icmp | Self::PortDistribution | Self::Tcp => &[],
        }
    }
}

/// An option without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// Drops for other reasons than policy, too.
    AnyDrop,
    /// A label with the destination's port.
    Port,
    /// Of TCP only what opens a connection.
    SynOnly,
    /// Ours: what a client sent, on one node only: where it reached its endpoint, or where it was dropped.
    RequestsOnly,
    /// Ours: only where both ends belong to workloads.
    WorkloadsOnly,
}

impl Flag {
    pub const fn word(self) -> &'static str {
        match self {
            Self::AnyDrop => "any-drop",
            Self::Port => "port",
            Self::SynOnly => "syn-only",
            Self::RequestsOnly => "requests-only",
            Self::WorkloadsOnly => "workloads-only",
        }
    }
}

/// By what the label `source` or `destination` names an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// All labels of its identity.
    Identity,
    Namespace,
    /// `namespace/pod`.
    Pod,
    PodName,
    Ip,
    /// Its label of source `reserved`.
    ReservedIdentity,
    /// `namespace/workload`.
    Workload,
    WorkloadName,
    /// The label by which its pods say what they are.
    App,
}

impl Context {
    pub const ALL: [Self; 9] = [
        Self::Identity,
        Self::Namespace,
        Self::Pod,
        Self::PodName,
        Self::Ip,
        Self::ReservedIdentity,
        Self::Workload,
        Self::WorkloadName,
        Self::App,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Namespace => "namespace",
            Self::Pod => "pod",
            Self::PodName => "pod-name",
            Self::Ip => "ip",
            Self::ReservedIdentity => "reserved-identity",
            Self::Workload => "workload",
            Self::WorkloadName => "workload-name",
            Self::App => "app",
        }
    }
}

/// An end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
}

/// What a label says of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Ip,
    Namespace,
    Pod,
    Workload,
    WorkloadKind,
    App,
}

/// A label of its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextLabel {
    Of(End, Part),
    TrafficDirection,
}

impl ContextLabel {
    pub const ALL: [Self; 13] = [
        Self::Of(End::Source, Part::Ip),
        Self::Of(End::Source, Part::Namespace),
        Self::Of(End::Source, Part::Pod),
        Self::Of(End::Source, Part::Workload),
        Self::Of(End::Source, Part::WorkloadKind),
        Self::Of(End::Source, Part::App),
        Self::Of(End::Destination, Part::Ip),
        Self::Of(End::Destination, Part::Namespace),
        Self::Of(End::Destination, Part::Pod),
        Self::Of(End::Destination, Part::Workload),
        Self::Of(End::Destination, Part::WorkloadKind),
        Self::Of(End::Destination, Part::App),
        Self::TrafficDirection,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Of(End::Source, Part::Ip) => "source_ip",
            Self::Of(End::Source, Part::Namespace) => "source_namespace",
            Self::Of(End::Source, Part::Pod) => "source_pod",
            Self::Of(End::Source, Part::Workload) => "source_workload",
            Self::Of(End::Source, Part::WorkloadKind) => "source_workload_kind",
            Self::Of(End::Source, Part::App) => "source_app",
            Self::Of(End::Destination, Part::Ip) => "destination_ip",
            Self::Of(End::Destination, Part::Namespace) => "destination_namespace",
            Self::Of(End::Destination, Part::Pod) => "destination_pod",
            Self::Of(End::Destination, Part::Workload) => "destination_workload",
            Self::Of(End::Destination, Part::WorkloadKind) => "destination_workload_kind",
            Self::Of(End::Destination, Part::App) => "destination_app",
            Self::TrafficDirection => "traffic_direction",
        }
    }
}
