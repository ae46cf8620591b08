//! `/v1/gloonet/bpf/…`: maps of the kernel. Paths are ours; field names are those Cilium's tool prints for its own maps,
//! with a few more where ours hold more.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::service::FrontendAddress;

/// `GET /v1/gloonet/bpf/policy`: which policy judges which endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyOfEndpoint {
    pub endpoint: u16,
    /// 0: none, and everything is dropped.
    pub policy: u32,
}

/// An entry of `GET /v1/gloonet/bpf/policy/{endpoint}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyEntry {
    pub key: PolicyKey,
    /// `allow`, `deny` or `default-deny`.
    pub verdict: String,
    /// Names the policies that made the entry; 0: none.
    pub cookie: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyKey {
    /// Bits that count: 40 for direction and identity, 8 for the protocol, up to 16 for the port.
    pub prefixlen: u32,
    pub identity: u32,
    /// 0 ingress, 1 egress.
    pub traffic_direction: u8,
    pub nexthdr: u8,
    /// Host byte order; of ICMP the type.
    pub dest_port: u16,
}

/// A line of `GET /v1/gloonet/bpf/ct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CtRecord {
    pub key: CtKey,
    pub value: CtEntry,
}

/// Source is who began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CtKey {
    pub source_addr: Ipv4Addr,
    pub source_port: u16,
    pub dest_addr: Ipv4Addr,
    pub dest_port: u16,
    pub next_header: u8,
    /// Type of an ICMP message that is no echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// `OUT` when a pod of this node began, else `IN`.
    pub direction: String,
}

/// `Tx` is the originator's direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CtEntry {
    /// Seconds it will live without another packet; 0: it has ended and waits for collection.
    pub lifetime: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_flags_seen: u8,
    pub rx_flags_seen: u8,
    pub seen_reply: bool,
    pub closing: bool,
    #[serde(rename = "SourceSecurityID")]
    pub source_security_id: u32,
    #[serde(rename = "DestSecurityID")]
    pub dest_security_id: u32,
}

/// Of `DELETE /v1/gloonet/bpf/ct`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Flushed {
    pub deleted: u64,
}

/// An entry of `GET /v1/gloonet/bpf/ipcache`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IpcacheEntry {
    pub prefix: Ipv4Net,
    pub identity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel_endpoint: Option<Ipv4Addr>,
}

/// An entry of `GET /v1/gloonet/bpf/endpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LocalEndpoint {
    pub ip: Ipv4Addr,
    pub id: u16,
    pub identity: u32,
    pub ifindex: u32,
    pub mac: String,
    pub node_mac: String,
}

/// An entry of `GET /v1/gloonet/bpf/lb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LbService {
    pub frontend: FrontendAddress,
    /// The kernel's number of it, another one after every change.
    pub generation: u32,
    /// In slots 1, 2 and so on.
    pub backends: Vec<LbBackend>,
    /// How long a client stays with its backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity_seconds: Option<u32>,
    /// Who comes from outside is not served by this entry.
    pub inside_only: bool,
    /// The only sources that are served; empty: all are.
    pub source_ranges: Vec<Ipv4Net>,
    /// Other ports of the address are nobody's.
    pub exclusive: bool,
    /// Without a backend packets are dropped, and nobody is told.
    pub silent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbBackend {
    pub ip: Ipv4Addr,
    pub port: u16,
}
