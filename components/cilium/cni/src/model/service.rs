//! `GET /v1/service[/{id}]`: Services and host ports, one for each address, port, protocol and scope.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// What a backend is that gets connections.
pub const ACTIVE: &str = "active";
/// It ends; it gets connections while no other is left.
pub const TERMINATING: &str = "terminating";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What the agent wants. Without backends and flags: nothing.
    pub spec: ServiceSpec,
    pub status: ServiceStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// What the kernel has; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realized: Option<ServiceSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceSpec {
    /// The kernel's, another one after every change; none: the kernel does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    pub frontend_address: FrontendAddress,
    /// In the order of slots.
    pub backend_addresses: Vec<BackendAddress>,
    /// Whose it is, which only the agent knows.
    pub flags: ServiceFlags,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendAddress {
    pub ip: Ipv4Addr,
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    pub scope: Scope,
}

/// Who is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everybody who is, except those with an entry of their own.
    External,
    /// Pods and the node; the outside has an entry of its own.
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendAddress {
    pub ip: Ipv4Addr,
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// [`ACTIVE`] or [`TERMINATING`].
    pub state: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceFlags {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Of the Service, or of the pod with the host port.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which of its addresses: `ClusterIP`, `NodePort`, `ExternalIPs`, `LoadBalancer` or `HostPort`.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The older name of `ext_traffic_policy`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traffic_policy: String,
    /// `Cluster` or `Local`; a host port has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ext_traffic_policy: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub int_traffic_policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_node_port: Option<u16>,
}
