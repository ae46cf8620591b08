//! Who may talk to some workloads or destinations of a workspace.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    state::Common,
    unsupported::{Paths, Unsupported},
    workspace_settings::EnforcementLayers,
};

/// Who may talk to some workloads or destinations. Lives in a namespace of a workspace whose configuration is read.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "security.policy.gloo.solo.io",
    version = "v2",
    kind = "AccessPolicy",
    plural = "accesspolicies",
    namespaced,
    status = "AccessPolicyStatus",
    derive = "PartialEq",
    doc = "Who may talk to some workloads or destinations.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.common.State.approval"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.common.State.message"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicySpec {
    /// Services it protects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub apply_to_destinations: Vec<DestinationChoice>,
    /// Workloads it protects, on all their ports. Where both are given, these count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub apply_to_workloads: Vec<WorkloadChoice>,
    /// Who may talk to them.
    #[serde(default)]
    pub config: Config,
}

/// Some services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationChoice {
    /// Which; absent: every one of the workspace.
    #[serde(default)]
    pub selector: ObjectChoice,
    /// `SERVICE`; Gloo's other kinds are not supported.
    #[serde(default)]
    pub kind: DestinationKind,
    /// One of its ports; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortChoice>,
}

/// Kinds of destinations, as Gloo has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DestinationKind {
    #[default]
    Service,
    VirtualDestination,
    ExternalService,
}

/// A port of a service, by one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortChoice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    #[schemars(extend("format" = "int32"))]
    pub number: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Some workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadChoice {
    /// Which; absent: every one of the workspace.
    #[serde(default)]
    pub selector: ObjectChoice,
}

/// Some objects. Every part that is given must fit; a text may hold `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectChoice {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Who may talk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Each entry lets somebody in. None: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub authz_list: Vec<Authz>,
    /// Where it is enforced.
    #[serde(default)]
    pub enforcement_layers: EnforcementLayers,
    /// Not supported: who the other side is comes from the pod network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn: Option<Unsupported>,
    /// Gloo's older form with one entry. Not supported: write `authzList`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authz: Option<Unsupported>,
}

/// Lets in whoever fits every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authz {
    /// Pods, by their ServiceAccount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub allowed_clients: Vec<Client>,
    /// Networks outside the clusters, as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub allowed_ip_blocks: Vec<String>,
    /// Enforce nothing; the status lists what of the observed traffic would be denied.
    #[serde(default)]
    pub dry_run: bool,
    /// Not supported: layer 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_paths: Option<Unsupported>,
    /// Not supported: layer 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_methods: Option<Unsupported>,
    /// Not supported: the address behind a proxy is known to layer 7 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_remote_ip_blocks: Option<Unsupported>,
    /// Not supported: layer 7.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<Unsupported>,
}

/// Some pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// ServiceAccounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_selector: Option<ObjectChoice>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_workload_selector: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_identity_matcher: Option<Unsupported>,
}

/// What the management server says about an access policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicyStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
    /// Ports of services it protects.
    #[serde(default)]
    pub num_selected_destination_ports: u32,
    /// Namespaces with something it protects.
    #[serde(default)]
    pub num_selected_namespaces: u32,
    /// ServiceAccounts it lets in.
    #[serde(default)]
    pub num_allowed_service_accounts: u32,
    /// With `dryRun`: what of the observed traffic would be denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<String>,
}

impl AccessPolicySpec {
    /// Paths of the fields that are set, not supported, and about the policy as a whole.
    pub fn unsupported(&self) -> Vec<String> {
        let mut paths = Paths::default();
        paths.note(
            "spec.config",
            &[("authn", &self.config.authn), ("authz", &self.config.authz)],
        );
        for (at, destination) in self.apply_to_destinations.iter().enumerate() {
            if destination.kind != DestinationKind::Service {
                paths.add(format!("spec.applyToDestinations[{at}].kind"));
            }
        }
        paths.into_vec()
    }
}

impl Authz {
    /// Paths of the fields of entry `at` that are set and not supported. Each would let in fewer than the entry without it does.
    pub fn unsupported(&self, at: usize) -> Vec<String> {
        let mut paths = Paths::default();
        let here = format!("spec.config.authzList[{at}]");
        paths.note(
            &here,
            &[
                ("allowedPaths", &self.allowed_paths),
                ("allowedMethods", &self.allowed_methods),
                ("allowedRemoteIpBlocks", &self.allowed_remote_ip_blocks),
                ("match", &self.matches),
            ],
        );
        for (of, client) in self.allowed_clients.iter().enumerate() {
            paths.note(
                &format!("{here}.allowedClients[{of}]"),
                &[
                    (
                        "externalWorkloadSelector",
                        &client.external_workload_selector,
                    ),
                    ("requestIdentityMatcher", &client.request_identity_matcher),
                ],
            );
        }
        paths.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_written_for_gloo_is_read_and_what_is_not_followed_is_named_by_its_path() {
        let spec: AccessPolicySpec = serde_json::from_value(serde_json::json!({
            "applyToDestinations": [{"selector": {"labels": {"app": "reviews"}}, "port": {"number": 9080}}],
            "config": {
                "authn": {"tlsMode": "STRICT"},
                "authzList": [
                    {"allowedClients": [{"serviceAccountSelector": {"name": "productpage"}}], "allowedMethods": ["GET"]},
                    {"allowedClients": [{"requestIdentityMatcher": {"requestPrincipals": ["*"]}}]},
                ],
            },
        }))
        .unwrap();
        assert_eq!(spec.unsupported(), ["spec.config.authn"]);
        let entries = &spec.config.authz_list;
        assert_eq!(
            entries[0].unsupported(0),
            ["spec.config.authzList[0].allowedMethods"]
        );
        assert_eq!(
            entries[1].unsupported(1),
            ["spec.config.authzList[1].allowedClients[0].requestIdentityMatcher"]
        );
    }

    #[test]
    fn a_port_beyond_the_last_is_no_port() {
        let port = serde_json::from_value::<PortChoice>(serde_json::json!({"number": 70000}));
        assert!(port.is_err());
    }
}
