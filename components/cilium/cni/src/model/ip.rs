//! `GET /v1/ip`: who holds which address.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpListEntry {
    pub cidr: Ipv4Net,
    pub identity: u32,
    /// The node whose tunnel reaches it.
    #[serde(rename = "hostIP", default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<Ipv4Addr>,
    /// 0: nothing is encrypted by this release.
    pub encrypt_key: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<IpMetadata>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpMetadata {
    /// `k8s`, `kube-apiserver`, `custom-resource` or `local`.
    pub source: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}
