//! How people sign in to the UI. Lives in the management cluster, `gloo-mesh/settings`.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    state::Common,
    unsupported::{Paths, Unsupported},
};

/// How people sign in to the UI, and what they may see.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "admin.gloo.solo.io",
    version = "v2",
    kind = "Dashboard",
    plural = "dashboards",
    namespaced,
    status = "DashboardStatus",
    derive = "PartialEq",
    doc = "How people sign in to the UI, and what they may see.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.common.State.approval"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct DashboardSpec {
    /// Who somebody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn: Option<Authn>,
    /// What they may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authz: Option<Authz>,
}

/// Who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authn {
    /// OpenID Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

/// OpenID Connect, code flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// Where people reach the UI.
    pub app_url: String,
    pub client_id: String,
    /// Secret in `gloo-mesh` with the key `oidc-client-secret`.
    pub client_secret_name: String,
    pub issuer_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_path: Option<String>,
    /// Empty: nobody signs out here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logout_path: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// ConfigMap in `gloo-mesh` with the authority of the issuer, key `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert_configmap_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_mapping: Option<UserMapping>,
    /// Not supported: sessions are in Redis, with settings of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_endpoint_query_params: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_query_params: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_override: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_poll_interval: Option<Unsupported>,
    /// Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_cache_refresh_policy: Option<Unsupported>,
}

/// Claims as users and groups of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserMapping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_prefix: Option<String>,
}

/// What people may see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authz {
    /// What their rights in each cluster let them see there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_cluster_rbac: Option<MultiClusterRbac>,
}

/// Present: on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MultiClusterRbac {}

/// What is said about the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DashboardStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
}

impl DashboardSpec {
    /// Paths of the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<String> {
        let mut paths = Paths::default();
        let oidc = self.authn.as_ref().and_then(|authn| authn.oidc.as_ref());
        if let Some(oidc) = oidc {
            paths.note(
                "spec.authn.oidc",
                &[
                    ("session", &oidc.session),
                    ("authEndpointQueryParams", &oidc.auth_endpoint_query_params),
                    (
                        "tokenEndpointQueryParams",
                        &oidc.token_endpoint_query_params,
                    ),
                    ("discoveryOverride", &oidc.discovery_override),
                    ("discoveryPollInterval", &oidc.discovery_poll_interval),
                    ("jwksCacheRefreshPolicy", &oidc.jwks_cache_refresh_policy),
                ],
            );
        }
        paths.into_vec()
    }
}
