//! CiliumEndpoint: what a node's agent says about one of its pods.
//!
//! The kind has no spec and, as upstream, no status subresource: `status` is written with the object.

use std::borrow::Cow;

use k8s_openapi::{
    NamespaceResourceScope,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Resource, api::ObjectMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    crd::{self, Column, Property, Shape},
    names::{GROUP, VERSION},
    numeric_identity::NumericIdentity,
};

/// Kind, as in `kind:`.
pub const KIND: &str = "CiliumEndpoint";
const API_VERSION: &str = "cilium.io/v2";

/// An endpoint: named and owned as its pod is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CiliumEndpoint {
    #[serde(rename = "apiVersion", default = "api_version")]
    api_version: Cow<'static, str>,
    #[serde(default = "kind")]
    kind: Cow<'static, str>,
    /// Name and namespace of the pod; owner reference to the pod, so that the endpoint goes with it.
    pub metadata: ObjectMeta,
    /// What the agent reports.
    #[serde(default)]
    pub status: EndpointStatus,
}

fn api_version() -> Cow<'static, str> {
    API_VERSION.into()
}

fn kind() -> Cow<'static, str> {
    KIND.into()
}

/// What the agent reports about an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointStatus {
    /// Number of the endpoint on its node, 1..=65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Names of the endpoint elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_identifiers: Option<ExternalIdentifiers>,
    /// Security identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<EndpointIdentity>,
    /// Addresses and node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networking: Option<EndpointNetworking>,
    /// Encryption of the endpoint's traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<crate::node::EncryptionSpec>,
    /// Policy by direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<EndpointPolicy>,
    /// Named ports of the pod's containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_ports: Vec<NamedPort>,
    /// ServiceAccount of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// State of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<EndpointState>,
}

/// Names of an endpoint elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExternalIdentifiers {
    /// `containerID:interface` of the CNI ADD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cni_attachment_id: Option<String>,
    /// Sandbox of the pod at the container runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Namespace of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s_namespace: Option<String>,
    /// Name of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s_pod_name: Option<String>,
    /// `namespace/name` of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
}

/// Security identity of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointIdentity {
    /// The number; name of the CiliumIdentity when it is 256 or more.
    #[serde(default)]
    pub id: i64,
    /// The labels the number stands for, each `source:key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl EndpointIdentity {
    /// The number as the datapath takes it; `None` when it is none.
    pub fn number(&self) -> Option<NumericIdentity> {
        u32::try_from(self.id).ok().map(NumericIdentity)
    }
}

/// Addresses and node of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointNetworking {
    /// Addresses of the endpoint.
    pub addressing: Vec<crate::node::AddressPair>,
    /// InternalIP of the endpoint's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Policy of an endpoint by direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointPolicy {
    /// Towards the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<PolicyDirection>,
    /// From the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<PolicyDirection>,
}

/// Policy of an endpoint in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyDirection {
    /// Whether packets are checked.
    pub enforcing: bool,
    /// `enforcing`, `non-enforcing` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// One named port of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedPort {
    /// Name of the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// TCP, UDP, SCTP …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// State of an endpoint (Cilium's API model).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointState {
    /// Being made.
    Creating,
    /// No identity yet.
    WaitingForIdentity,
    /// Not usable.
    NotReady,
    /// In the queue for the datapath.
    WaitingToRegenerate,
    /// The datapath is being written.
    Regenerating,
    /// Read back after a restart.
    Restoring,
    /// In use.
    Ready,
    /// Being removed.
    Disconnecting,
    /// Removed.
    Disconnected,
    /// Refused.
    Invalid,
}

impl CiliumEndpoint {
    /// An endpoint with this status; the caller sets namespace and owner in `metadata`.
    pub fn new(name: &str, status: EndpointStatus) -> Self {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        Self {
            api_version: api_version(),
            kind: kind(),
            metadata,
            status,
        }
    }
}

impl Resource for CiliumEndpoint {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "ciliumendpoints".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The CustomResourceDefinition of this kind.
pub fn crd() -> CustomResourceDefinition {
    crd::build(&Shape {
        kind: KIND,
        plural: "ciliumendpoints",
        singular: "ciliumendpoint",
        short_names: &["cep", "ciliumep"],
        scope: "Namespaced",
        description: "What the agent of a node says about one of its pods: address, identity, state.",
        columns: &[
            Column::new(
                "Security Identity",
                "integer",
                ".status.identity.id",
                "Security identity of the endpoint",
            ),
            Column::new(
                "Ingress Enforcement",
                "string",
                ".status.policy.ingress.state",
                "Policy towards the endpoint",
            )
            .wide(),
            Column::new(
                "Egress Enforcement",
                "string",
                ".status.policy.egress.state",
                "Policy from the endpoint",
            )
            .wide(),
            Column::new(
                "Endpoint State",
                "string",
                ".status.state",
                "Endpoint current state",
            ),
            Column::new(
                "IPv4",
                "string",
                ".status.networking.addressing[0].ipv4",
                "Endpoint IPv4 address",
            ),
            Column::new(
                "IPv6",
                "string",
                ".status.networking.addressing[0].ipv6",
                "Endpoint IPv6 address",
            ),
        ],
        properties: vec![Property::optional(
            "status",
            crd::schema_of::<EndpointStatus>(),
        )],
        rules: Vec::new(),
        status_subresource: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_with_ciliums_field_names() {
        let status = EndpointStatus {
            id: Some(7),
            external_identifiers: Some(ExternalIdentifiers {
                k8s_pod_name: Some("web".into()),
                ..Default::default()
            }),
            identity: Some(EndpointIdentity {
                id: 300,
                labels: vec!["k8s:app=web".into()],
            }),
            networking: Some(EndpointNetworking {
                addressing: vec![crate::node::AddressPair {
                    ipv4: Some("10.244.1.5".into()),
                    ipv6: None,
                }],
                node: Some("172.30.0.11".into()),
            }),
            state: Some(EndpointState::WaitingForIdentity),
            ..EndpointStatus::default()
        };
        assert_eq!(
            serde_json::to_value(CiliumEndpoint::new("web", status)).unwrap(),
            serde_json::json!({
                "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint", "metadata": {"name": "web"},
                "status": {
                    "id": 7,
                    "external-identifiers": {"k8s-pod-name": "web"},
                    "identity": {"id": 300, "labels": ["k8s:app=web"]},
                    "networking": {"addressing": [{"ipv4": "10.244.1.5"}], "node": "172.30.0.11"},
                    "state": "waiting-for-identity",
                },
            })
        );
    }

    #[test]
    fn an_identity_number_that_does_not_fit_is_none() {
        assert_eq!(
            EndpointIdentity {
                id: -1,
                labels: vec![]
            }
            .number(),
            None
        );
        assert_eq!(
            EndpointIdentity {
                id: 5,
                labels: vec![]
            }
            .number(),
            Some(NumericIdentity::INIT)
        );
    }
}
