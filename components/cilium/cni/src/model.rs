//! What plugin and agent say to each other: the part of Cilium's REST API v1 that a CNI plugin needs.
//! Field names are Cilium's, so tools that read its API find what they expect. What people ask is in a module per resource.

pub mod balancing;
pub mod bpf;
pub mod event;
pub mod health;
pub mod identity;
pub mod ip;
pub mod metric;
pub mod node;
pub mod policy;
pub mod routing;
pub mod service;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use self::balancing::KubeProxyReplacement;
use self::node::NodeElement;
use self::routing::{ProcessOptions, RoutingStatus};

/// Every path starts with it.
pub const BASE: &str = "/v1";

/// `GET /v1/config`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonConfiguration {
    pub status: DaemonConfigurationStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonConfigurationStatus {
    pub addressing: NodeAddressing,
    #[serde(rename = "datapathMode")]
    pub datapath_mode: String,
    /// Bytes. What the pod's device gets.
    #[serde(rename = "deviceMTU")]
    pub device_mtu: u32,
    /// Bytes. What the pod's default route gets: the device's, less the tunnel's header if there is a tunnel.
    #[serde(rename = "routeMTU")]
    pub route_mtu: u32,
    #[serde(rename = "ipam-mode")]
    pub ipam_mode: String,
    /// Where Cilium has the routing mode, among options of its process; an older agent says nothing.
    #[serde(rename = "daemonConfigurationMap", default)]
    pub options: ProcessOptions,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeAddressing {
    pub ipv4: NodeAddressingElement,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeAddressingElement {
    #[serde(rename = "alloc-range")]
    pub alloc_range: Ipv4Net,
    pub enabled: bool,
    /// The router address: the gateway of every pod of the node.
    pub ip: Ipv4Addr,
}

/// `POST /v1/ipam`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IpamResponse {
    pub address: AddressPair,
    #[serde(rename = "host-addressing")]
    pub host_addressing: NodeAddressing,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AddressPair {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// While this token is not confirmed by an endpoint, the address goes back after the lease time.
    #[serde(
        rename = "ipv4-expiration-uuid",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub ipv4_expiration_uuid: String,
    #[serde(
        rename = "ipv4-pool-name",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub ipv4_pool_name: String,
}

/// `PUT /v1/endpoint/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointChangeRequest {
    pub addressing: AddressPair,
    pub container_id: String,
    /// Interface name inside the container.
    pub container_interface_name: String,
    #[serde(default)]
    pub container_netns_path: String,
    pub host_mac: String,
    pub interface_index: u32,
    /// Interface name on the node.
    pub interface_name: String,
    #[serde(default)]
    pub k8s_namespace: String,
    #[serde(default)]
    pub k8s_pod_name: String,
    #[serde(default)]
    pub k8s_uid: String,
    pub mac: String,
    /// The answer comes when the datapath has the endpoint, not before.
    #[serde(default)]
    pub sync_build_endpoint: bool,
}

/// `GET /v1/endpoint[/{id}]`: the part of Cilium's model that is filled here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: u16,
    pub status: EndpointStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointStatus {
    pub state: String,
    pub external_identifiers: ExternalIdentifiers,
    pub identity: EndpointIdentity,
    #[serde(default)]
    pub labels: EndpointLabels,
    pub networking: EndpointNetworking,
    pub policy: EndpointPolicy,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExternalIdentifiers {
    pub container_id: String,
    pub cni_attachment_id: String,
    pub k8s_namespace: String,
    pub k8s_pod_name: String,
    /// Not in Cilium's model; GC compares it.
    pub container_interface_name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointIdentity {
    pub id: u32,
    pub labels: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointNetworking {
    pub addressing: Vec<AddressPair>,
    pub host_mac: String,
    pub interface_index: u32,
    pub interface_name: String,
    pub mac: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointLabels {
    pub security_relevant: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointPolicy {
    /// What the datapath has.
    pub realized: RealizedPolicy,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RealizedPolicy {
    /// The identity it is for.
    pub id: u32,
    /// `none`, `ingress`, `egress` or `both`.
    pub policy_enabled: String,
}

/// `GET /v1/endpoint/{id}/healthz`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    pub bpf: String,
    pub policy: String,
    pub connected: bool,
    pub overall_health: String,
}

impl EndpointHealth {
    pub const OK: &'static str = "OK";
    pub const FAILURE: &'static str = "Failure";
}

/// `GET /v1/healthz`: Cilium's StatusResponse as far as it is true here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusResponse {
    pub cilium: Status,
    pub kubernetes: Status,
    #[serde(rename = "kube-proxy-replacement")]
    pub kube_proxy_replacement: KubeProxyReplacement,
    pub ipam: IpamStatus,
    pub policy: Status,
    /// `ok` when ADD can be served.
    pub cni: Status,
    /// An older agent says nothing of it.
    #[serde(default)]
    pub routing: Option<RoutingStatus>,
    #[serde(default)]
    pub encryption: EncryptionStatus,
    #[serde(default, rename = "host-firewall")]
    pub host_firewall: Option<ModeStatus>,
    /// An older agent says nothing of it.
    #[serde(default)]
    pub cluster: Option<ClusterStatus>,
}

/// The cluster as this node sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Whether nodes are probed. What the probes find is asked for by itself.
    pub cilium_health: Status,
    pub nodes: Vec<NodeElement>,
    /// `cluster/node`.
    #[serde(rename = "self")]
    pub own_name: String,
}

/// Of traffic between nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptionStatus {
    pub mode: String,
}

impl Default for EncryptionStatus {
    /// What this release can do.
    fn default() -> Self {
        Self {
            mode: "Disabled".to_owned(),
        }
    }
}

/// `GET /v1/debuginfo`: of Cilium's model the part people ask for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DebugInfo {
    /// `VERSION REVISION OS/ARCH`.
    pub cilium_version: String,
}

impl DebugInfo {
    /// Of the program that calls it.
    pub fn own(version: &str) -> Self {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        Self {
            cilium_version: format!("{version} gloonet {os}/{arch}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub state: String,
    pub msg: String,
}

impl Status {
    pub fn ok(msg: impl Into<String>) -> Self {
        Self::new("Ok", msg)
    }

    pub fn failure(msg: impl Into<String>) -> Self {
        Self::new("Failure", msg)
    }

    pub fn warning(msg: impl Into<String>) -> Self {
        Self::new("Warning", msg)
    }

    pub fn disabled(msg: impl Into<String>) -> Self {
        Self::new("Disabled", msg)
    }

    pub fn is_failure(&self) -> bool {
        self.state == "Failure"
    }

    fn new(state: &str, msg: impl Into<String>) -> Self {
        Self {
            state: state.to_owned(),
            msg: msg.into(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModeStatus {
    pub mode: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IpamStatus {
    pub status: String,
    pub allocations: std::collections::BTreeMap<Ipv4Addr, String>,
}

/// The body of every answer that is not 2xx.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    pub message: String,
}

/// The endpoint id a runtime's attachment has in paths.
pub fn attachment_id(container_id: &str, ifname: &str) -> String {
    format!("cni-attachment-id:{container_id}:{ifname}")
}
