//! One rule of a Cilium policy: every field upstream has, also those no code of ours follows.
//!
//! An absent list and an empty one differ: absent says nothing about peers, empty selects nobody.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part we keep as it is because nothing here follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opaque(pub Value);

impl JsonSchema for Opaque {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Opaque".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}

/// What a policy does to the pods it selects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Pods the rule is for. `{}` selects all of the namespace, or of the cluster in a clusterwide policy.
    pub endpoint_selector: Option<Selector>,
    /// Nodes the rule is for, in a clusterwide policy. Not supported.
    pub node_selector: Option<Selector>,
    /// What may come in.
    pub ingress: Option<Vec<IngressRule>>,
    /// What may not come in, whatever allows it.
    pub ingress_deny: Option<Vec<IngressRule>>,
    /// What may go out.
    pub egress: Option<Vec<EgressRule>>,
    /// What may not go out, whatever allows it.
    pub egress_deny: Option<Vec<EgressRule>>,
    /// Whether the rule isolates the pods it selects. By default it does in each direction it has rules for.
    pub enable_default_deny: Option<DefaultDeny>,
    /// Labels of the rule itself.
    pub labels: Option<Vec<RuleLabel>>,
    /// Why the rule is there.
    pub description: Option<String>,
    /// What flows say that the rule decided about.
    pub log: Option<Log>,
}

/// Whether a rule isolates the pods it selects, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultDeny {
    /// Towards the pods.
    pub ingress: Option<bool>,
    /// From the pods.
    pub egress: Option<bool>,
}

/// A label of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleLabel {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Option<String>,
    /// Source, such as `k8s`.
    pub source: Option<String>,
    /// Network a CIDR label stands for.
    pub cidr: Option<Opaque>,
}

/// What flows say that a rule decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Free text of up to 32 characters.
    #[schemars(length(max = 32))]
    pub value: Option<String>,
}

/// Chooses by labels; a requirement left out is met by everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Labels with exactly these values.
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Requirements, all to be met.
    pub match_expressions: Option<Vec<Requirement>>,
}

/// A requirement on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Key, with or without source: `k8s:app`, `app`.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// Values for `In` and `NotIn`.
    pub values: Option<Vec<String>>,
}

/// Traffic towards the selected pods. Peers and ports must both match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressRule {
    /// Pods by label.
    pub from_endpoints: Option<Vec<Selector>>,
    /// Labels every peer must have. Not supported; deprecated upstream.
    pub from_requires: Option<Vec<Selector>>,
    /// Networks outside the cluster.
    #[serde(rename = "fromCIDR")]
    pub from_cidr: Option<Vec<String>>,
    /// Networks outside the cluster, with exceptions, or by group.
    #[serde(rename = "fromCIDRSet")]
    pub from_cidr_set: Option<Vec<CidrRule>>,
    /// Peers by kind.
    pub from_entities: Option<Vec<Entity>>,
    /// Groups of a cloud provider. Not supported.
    pub from_groups: Option<Vec<Opaque>>,
    /// Nodes by label.
    pub from_nodes: Option<Vec<Selector>>,
    /// Destination ports.
    pub to_ports: Option<Vec<PortRule>>,
    /// ICMP types.
    pub icmps: Option<Vec<IcmpRule>>,
    /// Mutual authentication. Not supported.
    pub authentication: Option<Opaque>,
}

/// Traffic from the selected pods. Peers and ports must both match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressRule {
    /// Pods by label.
    pub to_endpoints: Option<Vec<Selector>>,
    /// Labels every peer must have. Not supported; deprecated upstream.
    pub to_requires: Option<Vec<Selector>>,
    /// Networks outside the cluster.
    #[serde(rename = "toCIDR")]
    pub to_cidr: Option<Vec<String>>,
    /// Networks outside the cluster, with exceptions, or by group.
    #[serde(rename = "toCIDRSet")]
    pub to_cidr_set: Option<Vec<CidrRule>>,
    /// Peers by kind.
    pub to_entities: Option<Vec<Entity>>,
    /// Backends of Services.
    pub to_services: Option<Vec<ServiceRule>>,
    /// Names in DNS. Not supported.
    #[serde(rename = "toFQDNs")]
    pub to_fqdns: Option<Vec<FqdnRule>>,
    /// Groups of a cloud provider. Not supported.
    pub to_groups: Option<Vec<Opaque>>,
    /// Nodes by label.
    pub to_nodes: Option<Vec<Selector>>,
    /// Destination ports.
    pub to_ports: Option<Vec<PortRule>>,
    /// ICMP types.
    pub icmps: Option<Vec<IcmpRule>>,
    /// Mutual authentication. Not supported.
    pub authentication: Option<Opaque>,
}

/// A network, or networks by group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CidrRule {
    /// The network.
    pub cidr: Option<String>,
    /// Name of a CiliumCIDRGroup.
    pub cidr_group_ref: Option<String>,
    /// Labels of CiliumCIDRGroups.
    pub cidr_group_selector: Option<Selector>,
    /// Parts of the network that are left out.
    pub except: Option<Vec<String>>,
}

/// Peers by kind.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Entity {
    /// Everyone.
    All,
    /// Every address outside the cluster.
    World,
    /// Every pod and node of this cluster.
    Cluster,
    /// Every pod and node of this cluster and of those meshed with it: there are none.
    ClusterMesh,
    /// The node of the selected pod.
    Host,
    /// Pods whose labels are not known yet.
    Init,
    /// The ingress proxy.
    Ingress,
    /// Pods another CNI manages.
    Unmanaged,
    /// The other nodes.
    RemoteNode,
    /// Health endpoints of nodes.
    Health,
    /// Nobody.
    None,
    /// API servers.
    KubeApiserver,
    /// Every IPv4 address outside the cluster.
    WorldIpv4,
    /// Every IPv6 address outside the cluster.
    WorldIpv6,
}

/// Services whose backends are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRule {
    /// One Service by name.
    pub k8s_service: Option<ServiceByName>,
    /// Services by label.
    pub k8s_service_selector: Option<ServiceByLabels>,
}

/// One Service by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceByName {
    /// Name.
    pub service_name: Option<String>,
    /// Namespace; that of the policy when absent.
    pub namespace: Option<String>,
}

/// Services by label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceByLabels {
    /// Labels of the Services.
    pub selector: Selector,
    /// Namespace; that of the policy when absent, every one in a clusterwide policy.
    pub namespace: Option<String>,
}

/// A name in DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FqdnRule {
    /// The whole name.
    pub match_name: Option<String>,
    /// A pattern of names.
    pub match_pattern: Option<String>,
}

/// Ports, and what of their traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortRule {
    /// The ports, at most 40.
    #[schemars(length(max = 40))]
    pub ports: Option<Vec<PortProtocol>>,
    /// TLS ends here. Not supported.
    #[serde(rename = "terminatingTLS")]
    pub terminating_tls: Option<Opaque>,
    /// TLS begins here. Not supported.
    #[serde(rename = "originatingTLS")]
    pub originating_tls: Option<Opaque>,
    /// Names in TLS handshakes. Not supported.
    pub server_names: Option<Vec<String>>,
    /// Listener of a proxy. Not supported.
    pub listener: Option<Opaque>,
    /// Requests of HTTP or DNS. Not supported.
    pub rules: Option<L7Rules>,
}

/// Requests of a protocol above TCP and UDP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L7Rules {
    /// HTTP requests.
    pub http: Option<Vec<Opaque>>,
    /// DNS questions.
    pub dns: Option<Vec<Opaque>>,
}

/// A port and its protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortProtocol {
    /// Number or name; 0 is every port of the protocol.
    pub port: Option<String>,
    /// Last port of the range that begins with `port`.
    #[schemars(range(min = 0, max = 65_535))]
    pub end_port: Option<i32>,
    /// Protocol; `ANY` when absent.
    #[schemars(extend("enum" = ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "VRRP", "IGMP", "GRE", "IPIP", "IPV6", "ESP", "AH", "ANY"]))]
    pub protocol: Option<String>,
}

/// ICMP types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpRule {
    /// The types, at most 40.
    #[schemars(length(max = 40))]
    pub fields: Option<Vec<IcmpField>>,
}

/// One ICMP type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpField {
    /// `IPv4` or `IPv6`; `IPv4` when absent.
    #[schemars(extend("enum" = ["IPv4", "IPv6"]))]
    pub family: Option<String>,
    /// Number or name.
    #[serde(rename = "type")]
    pub type_: IntOrString,
}
