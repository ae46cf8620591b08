//! CiliumLoadBalancerIPPool: addresses for Services of type LoadBalancer, and the names that Services ask for them by.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// Condition of a pool: whether it gives no new addresses because it contradicts something.
pub const POOL_CONFLICT: &str = "cilium.io/PoolConflict";
/// Condition of a pool with the number of its addresses as message.
pub const IPS_TOTAL: &str = "cilium.io/IPsTotal";
/// Condition of a pool with the number of addresses nobody has as message.
pub const IPS_AVAILABLE: &str = "cilium.io/IPsAvailable";
/// Condition of a pool with the number of addresses somebody has as message.
pub const IPS_USED: &str = "cilium.io/IPsUsed";
/// Condition of a Service: whether it has the addresses it asks for.
pub const REQUEST_SATISFIED: &str = "cilium.io/IPAMRequestSatisfied";

/// Annotations with the addresses a Service asks for, commas between them. The first that is there counts.
pub const REQUEST_ANNOTATIONS: [&str; 2] = ["lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips"];
/// Annotations with the key by which Services share an address.
pub const SHARING_KEY_ANNOTATIONS: [&str; 2] = [
    "lbipam.cilium.io/sharing-key",
    "io.cilium/lb-ipam-sharing-key",
];
/// Annotations with the namespaces whose Services may share, commas between them; `*` stands for all.
pub const SHARING_ACROSS_ANNOTATIONS: [&str; 2] = [
    "lbipam.cilium.io/sharing-cross-namespace",
    "io.cilium/lb-ipam-sharing-cross-namespace",
];

/// Values of `loadBalancerClass` that are Cilium's.
pub const LOAD_BALANCER_CLASSES: [&str; 2] =
    ["io.cilium/l2-announcer", "io.cilium/bgp-control-plane"];

/// Label with its namespace that every Service has for the selectors of pools.
pub const SERVICE_NAMESPACE_LABEL: &str = "io.kubernetes.service.namespace";
/// Label with its name that every Service has for the selectors of pools.
pub const SERVICE_NAME_LABEL: &str = "io.kubernetes.service.name";

/// Addresses, and which Services may have them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "cilium.io",
    version = "v2",
    kind = "CiliumLoadBalancerIPPool",
    plural = "ciliumloadbalancerippools",
    singular = "ciliumloadbalancerippool",
    shortname = "ippools",
    shortname = "ippool",
    shortname = "lbippool",
    shortname = "lbippools",
    category = "cilium",
    status = "CiliumLoadBalancerIPPoolStatus",
    derive = "PartialEq",
    doc = "Addresses that the Cilium operator gives to Services of type LoadBalancer.",
    printcolumn = r#"{"name":"Disabled","type":"boolean","description":"Whether no new addresses are given on purpose","jsonPath":".spec.disabled"}"#,
    printcolumn = r#"{"name":"Conflicting","type":"string","description":"Whether no new addresses are given because of a contradiction","jsonPath":".status.conditions[?(@.type==\"cilium.io/PoolConflict\")].status"}"#,
    printcolumn = r#"{"name":"IPs Available","type":"string","description":"Addresses nobody has","jsonPath":".status.conditions[?(@.type==\"cilium.io/IPsAvailable\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","description":"Time since creation","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct CiliumLoadBalancerIPPoolSpec {
    /// Services that may have an address of the pool, by their labels; `io.kubernetes.service.namespace` and
    /// `io.kubernetes.service.name` are labels here, too. Absent: every Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,
    /// The addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-validations" = [{
        "rule": "self.all(b, has(b.cidr) ? !has(b.start) && !has(b.stop) : has(b.start) && has(b.stop))",
        "message": "a block is either a cidr, or a start and a stop: write one of the two",
    }]))]
    pub blocks: Vec<IpBlock>,
    /// Whether the first and the last address of each `cidr` may be given. Those of a /31 and a /32 always are.
    #[serde(
        rename = "allowFirstLastIPs",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub allow_first_last_ips: Option<AllowFirstLastIps>,
    /// Give no new addresses. Services keep those they have.
    #[serde(default)]
    pub disabled: bool,
}

/// Some addresses: a network, or all from one to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IpBlock {
    /// The network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// The first address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The last address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
}

/// Whether the first and the last address of a network may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AllowFirstLastIps {
    /// They may.
    #[default]
    Yes,
    /// They are left out.
    No,
}

/// What the Cilium operator says about a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiliumLoadBalancerIPPoolStatus {
    /// Conflict and numbers of addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_written_for_cilium_is_read() {
        let pool: CiliumLoadBalancerIPPool = serde_json::from_value(serde_json::json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumLoadBalancerIPPool", "metadata": {"name": "blue"},
            "spec": {
                "serviceSelector": {"matchExpressions": [{"key": "color", "operator": "In", "values": ["blue", "cyan"]}]},
                "blocks": [{"cidr": "192.0.2.0/24"}, {"start": "198.51.100.10", "stop": "198.51.100.20"}],
                "allowFirstLastIPs": "No",
            },
        }))
        .unwrap();
        assert_eq!(pool.spec.allow_first_last_ips, Some(AllowFirstLastIps::No));
        assert_eq!(pool.spec.blocks[0].cidr.as_deref(), Some("192.0.2.0/24"));
        assert_eq!(pool.spec.blocks[1].stop.as_deref(), Some("198.51.100.20"));
        assert!(!pool.spec.disabled);
    }
}
