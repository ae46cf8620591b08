//! CiliumNode: what a node's agent says about its node, and the podCIDRs the operator gives it.

use std::{collections::BTreeMap, net::IpAddr, net::Ipv4Addr};

use ipnet::Ipv4Net;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Desired configuration of a node: written by its agent, except `ipam.podCIDRs`, which only the operator writes.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "cilium.io",
    version = "v2",
    kind = "CiliumNode",
    plural = "ciliumnodes",
    singular = "ciliumnode",
    shortname = "cn",
    shortname = "ciliumn",
    category = "cilium",
    derive = "PartialEq",
    doc = "A node managed by Cilium: its addresses, its share of the cluster pool, and what became of the request for one.",
    status = "CiliumNodeStatus",
    printcolumn = r#"{"name":"CiliumInternalIP","type":"string","description":"Cilium internal IP for this node","jsonPath":".spec.addresses[?(@.type==\"CiliumInternalIP\")].ip"}"#,
    printcolumn = r#"{"name":"InternalIP","type":"string","description":"IP of the node","jsonPath":".spec.addresses[?(@.type==\"InternalIP\")].ip"}"#,
    printcolumn = r#"{"name":"Age","type":"date","description":"Time since creation","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct CiliumNodeSpec {
    /// Identifier of the machine as its provider knows it.
    #[serde(
        rename = "instance-id",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub instance_id: Option<String>,
    /// Identifier made anew at each boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootid: Option<String>,
    /// Addresses of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<NodeAddress>,
    /// Addresses of the node's health endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<AddressPair>,
    /// Encryption of the node's traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionSpec>,
    /// Address management.
    #[serde(default)]
    pub ipam: IpamSpec,
}

/// One address of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeAddress {
    /// What the address is for.
    #[serde(rename = "type")]
    pub kind: AddressType,
    /// The address.
    pub ip: String,
}

/// What an address of a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AddressType {
    /// Reachable inside the cluster's underlay; tunnels end here.
    InternalIP,
    /// Reachable from outside.
    ExternalIP,
    /// The router address of the node inside its podCIDR.
    CiliumInternalIP,
    /// A name, not an address.
    Hostname,
}

/// An IPv4 and an IPv6 address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressPair {
    /// IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
}

/// Encryption of a node's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptionSpec {
    /// Index of the key; 0 or absent means not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<i32>,
}

/// Address management of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IpamSpec {
    /// CIDRs the node takes pod addresses from. Written by the operator only; empty until it has.
    #[serde(rename = "podCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    pub pod_cidrs: Vec<String>,
}

/// What became of a node's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiliumNodeStatus {
    /// Address management.
    #[serde(default)]
    pub ipam: IpamStatus,
}

/// State of a node's address management.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IpamStatus {
    /// Addresses in use, by address. The agent may leave it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, AllocationIp>,
    /// Use of each podCIDR, reported by the agent.
    #[serde(
        rename = "pod-cidrs",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub pod_cidrs: BTreeMap<String, PodCidrUse>,
    /// What the operator says to this node's request for addresses.
    #[serde(
        rename = "operator-status",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub operator_status: Option<OperatorStatus>,
}

/// Owner of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationIp {
    /// `namespace/pod` or another name of the user of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Resource the address belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Use of one podCIDR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodCidrUse {
    /// How far the CIDR is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PodCidrState>,
}

/// How far a podCIDR is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PodCidrState {
    /// No longer handed out by the node.
    Released,
    /// No address left.
    Depleted,
    /// Addresses left.
    InUse,
}

/// What the operator says to a node's request for addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorStatus {
    /// Why the request could not be met; absent or empty when it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CiliumNode {
    /// First address of the kind that parses.
    pub fn address(&self, kind: AddressType) -> Option<IpAddr> {
        self.spec
            .addresses
            .iter()
            .filter(|a| a.kind == kind)
            .find_map(|a| a.ip.parse().ok())
    }

    /// Where tunnels to this node end.
    pub fn internal_ipv4(&self) -> Option<Ipv4Addr> {
        match self.address(AddressType::InternalIP)? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    }

    /// The node's IPv4 podCIDRs; entries that are no IPv4 network are left out.
    pub fn pod_cidrs(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        self.spec
            .ipam
            .pod_cidrs
            .iter()
            .filter_map(|c| c.parse::<Ipv4Net>().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_written_by_cilium_is_read_and_unknown_fields_are_left_alone() {
        let node: CiliumNode = serde_json::from_value(serde_json::json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "worker-1"},
            "spec": {
                "instance-id": "i-1", "bootid": "b", "eni": {}, "health": {"ipv4": "10.244.1.7"},
                "addresses": [{"type": "CiliumInternalIP", "ip": "10.244.1.1"}, {"type": "InternalIP", "ip": "172.30.0.11"}],
                "ipam": {"podCIDRs": ["10.244.1.0/24", "fd00::/120"], "pools": {}},
            },
            "status": {"ipam": {"operator-status": {"error": "pool exhausted"}, "pod-cidrs": {"10.244.1.0/24": {"status": "in-use"}}}},
        }))
        .unwrap();
        assert_eq!(node.internal_ipv4(), Some(Ipv4Addr::new(172, 30, 0, 11)));
        assert_eq!(
            node.address(AddressType::CiliumInternalIP),
            Some("10.244.1.1".parse().unwrap())
        );
        assert_eq!(
            node.pod_cidrs().collect::<Vec<_>>(),
            ["10.244.1.0/24".parse().unwrap()]
        );
        let status = node.status.unwrap().ipam;
        assert_eq!(
            status.operator_status.unwrap().error.as_deref(),
            Some("pool exhausted")
        );
        assert_eq!(
            status.pod_cidrs["10.244.1.0/24"].status,
            Some(PodCidrState::InUse)
        );
    }
}
