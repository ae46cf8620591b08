//! Namespaces of many clusters as one team's.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Common;

/// Namespaces of many clusters as one team's. Lives in the management cluster, in the namespace `gloo-mesh`.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "admin.gloo.solo.io",
    version = "v2",
    kind = "Workspace",
    plural = "workspaces",
    shortname = "ws",
    namespaced,
    status = "WorkspaceStatus",
    derive = "PartialEq",
    doc = "Namespaces of many clusters as one team's.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.common.State.approval"
    ),
    printcolumn(
        name = "Clusters",
        type_ = "integer",
        json_path = ".status.numSelectedClusters"
    ),
    printcolumn(
        name = "Namespaces",
        type_ = "integer",
        json_path = ".status.numSelectedNamespaces"
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
pub struct WorkspaceSpec {
    /// Which namespaces of which clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("!self.exists(c, has(c.configEnabled)) || self.all(c, has(c.configEnabled))").message("configEnabled is set for one of workloadClusters: set it for each of them, so that nobody has to guess"))]
    pub workload_clusters: Vec<WorkloadCluster>,
}

/// Some namespaces of some clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadCluster {
    /// Name of the cluster; `*` stands for any text. Absent: the selector alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// Labels its KubernetesCluster must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Namespaces in it. Empty would be all or none, depending on whom one asks, so it is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.exists(n, has(n.configEnabled)) || self.all(n, has(n.configEnabled))").message("configEnabled is set for one of namespaces: set it for each of them, so that nobody has to guess"))]
    pub namespaces: Vec<NamespaceChoice>,
    /// Whether resources in these namespaces are read as the workspace's configuration. Absent everywhere: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_enabled: Option<bool>,
}

/// Some namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceChoice {
    /// Name of the namespace; `*` stands for any text. Absent: the labels alone decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// Labels the namespace must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether resources in these namespaces are read as the workspace's configuration. Absent everywhere: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_enabled: Option<bool>,
}

/// What the management server says about a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
    /// Clusters with a namespace of the workspace.
    #[serde(default)]
    pub num_selected_clusters: u32,
    /// Namespaces of the workspace, over all clusters.
    #[serde(default)]
    pub num_selected_namespaces: u32,
    /// Services of other workspaces that this one may use.
    #[serde(default)]
    pub num_imported_services: u32,
    /// Services of this workspace that another one may use.
    #[serde(default)]
    pub num_exported_services: u32,
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt;

    use super::*;

    #[test]
    fn a_workspace_written_for_gloo_is_read() {
        let workspace: Workspace = serde_json::from_value(serde_json::json!({
            "apiVersion": "admin.gloo.solo.io/v2",
            "kind": "Workspace",
            "metadata": {"name": "bookinfo", "namespace": "gloo-mesh"},
            "spec": {"workloadClusters": [
                {"name": "cluster1", "namespaces": [{"name": "bookinfo-frontends"}, {"name": "bookinfo-backends"}]},
                {"selector": {"region": "eu"}, "namespaces": [{"labels": {"team": "books"}}]},
            ]},
        }))
        .unwrap();
        assert_eq!(workspace.spec.workload_clusters.len(), 2);
        assert_eq!(workspace.spec.workload_clusters[1].selector["region"], "eu");
    }

    #[test]
    fn namespaces_must_not_be_empty() {
        let crd = serde_json::to_value(Workspace::crd()).unwrap();
        let namespaces = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/workloadClusters/items/properties/namespaces").unwrap();
        assert_eq!(namespaces["minItems"], 1);
    }
}
