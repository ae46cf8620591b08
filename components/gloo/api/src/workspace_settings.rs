//! What a workspace shares, and whether it is closed to others.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    state::Common,
    unsupported::{Paths, Unsupported},
};

/// What a workspace shares, and whether it is closed to others. One per workspace, in any namespace of it whose configuration is
/// read; the one named `global` in `gloo-mesh` stands for all.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "admin.gloo.solo.io",
    version = "v2",
    kind = "WorkspaceSettings",
    plural = "workspacesettings",
    shortname = "wss",
    namespaced,
    status = "WorkspaceSettingsStatus",
    derive = "PartialEq",
    doc = "What a workspace shares, and whether it is closed to others.",
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
pub struct WorkspaceSettingsSpec {
    /// What this workspace wants to use of others. Nothing is shared unless the other one exports it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub import_from: Vec<Share>,
    /// What this workspace lets others use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub export_to: Vec<Share>,
    /// How the workspace behaves.
    #[serde(default)]
    pub options: Options,
}

/// Some resources, and the workspaces they are shared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The other workspaces. Empty: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workspaces: Vec<WorkspaceChoice>,
    /// What is shared. Empty: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceChoice>,
}

/// Some workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceChoice {
    /// Name; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels the Workspace must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
}

/// Some resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceChoice {
    /// `ALL` or `SERVICE`; Gloo's other kinds mean nothing to a pod network.
    #[serde(default)]
    pub kind: ResourceKind,
    /// Labels the resource must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Name; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Cluster; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// Kinds that can be shared, as Gloo has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResourceKind {
    #[default]
    All,
    Service,
    RouteTable,
    VirtualDestination,
    ExternalService,
    ApiDoc,
    GraphqlApi,
    GraphqlSchema,
    ExternalWorkload,
}

impl ResourceKind {
    /// Services are what a pod network can open and close.
    pub fn holds_services(self) -> bool {
        matches!(self, Self::All | Self::Service)
    }
}

/// How a workspace behaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Whether only the workspace itself, and whom it exports to, reaches its services.
    #[serde(default)]
    pub service_isolation: ServiceIsolation,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federation: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub east_west_gateways: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_dest_client_mode: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim_all_proxy_config: Option<Unsupported>,
}

/// Whether only the workspace itself, and whom it exports to, reaches its services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceIsolation {
    #[serde(default)]
    pub enabled: bool,
    /// Enforce nothing; the status lists what would be denied.
    #[serde(default)]
    pub dry_run: bool,
    /// Where it is enforced.
    #[serde(default)]
    pub enforcement_layers: EnforcementLayers,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim_proxy_config: Option<Unsupported>,
}

/// Where something is enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnforcementLayers {
    /// By the pod network.
    #[serde(default = "yes")]
    pub cni: bool,
    /// By a service mesh. There is none here; what asks for the mesh alone is enforced nowhere, and says so.
    #[serde(default = "yes")]
    pub mesh: bool,
}

fn yes() -> bool {
    true
}

impl Default for EnforcementLayers {
    fn default() -> Self {
        Self {
            cni: true,
            mesh: true,
        }
    }
}

/// What the management server says about settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceSettingsStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
    /// With `dryRun`: what of the observed traffic would be denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_deny: Vec<String>,
}

impl WorkspaceSettingsSpec {
    /// Paths of the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<String> {
        let mut paths = Paths::default();
        let options = &self.options;
        paths.note(
            "spec.options",
            &[
                ("federation", &options.federation),
                ("eastWestGateways", &options.east_west_gateways),
                ("virtualDestClientMode", &options.virtual_dest_client_mode),
                ("trimAllProxyConfig", &options.trim_all_proxy_config),
            ],
        );
        let isolation = &options.service_isolation;
        paths.note(
            "spec.options.serviceIsolation",
            &[("trimProxyConfig", &isolation.trim_proxy_config)],
        );
        for (list, shares) in [
            ("importFrom", &self.import_from),
            ("exportTo", &self.export_to),
        ] {
            for (at, share) in shares.iter().enumerate() {
                for (of, resource) in share.resources.iter().enumerate() {
                    if !resource.kind.holds_services() {
                        paths.add(format!("spec.{list}[{at}].resources[{of}].kind"));
                    }
                }
            }
        }
        paths.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: serde_json::Value) -> WorkspaceSettingsSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn settings_written_for_gloo_are_read_and_what_is_not_followed_is_named() {
        let spec = read(serde_json::json!({
            "importFrom": [{"workspaces": [{"name": "gateways"}], "resources": [{"kind": "SERVICE"}]}],
            "exportTo": [{
                "workspaces": [{"name": "gateways"}],
                "resources": [{"kind": "SERVICE", "labels": {"app": "productpage"}}, {"kind": "ROUTE_TABLE"}],
            }],
            "options": {"serviceIsolation": {"enabled": true, "trimProxyConfig": true}, "federation": {"enabled": true}},
        }));
        assert!(spec.options.service_isolation.enabled);
        assert_eq!(
            spec.unsupported(),
            [
                "spec.options.federation",
                "spec.options.serviceIsolation.trimProxyConfig",
                "spec.exportTo[0].resources[1].kind"
            ]
        );
    }

    #[test]
    fn isolation_is_off_and_every_layer_on_unless_said_otherwise() {
        let spec = read(serde_json::json!({}));
        assert!(!spec.options.service_isolation.enabled);
        assert!(spec.options.service_isolation.enforcement_layers.cni);
    }
}
