//! Which insights are switched off.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Common;

/// Which insights are switched off. Lives in the management cluster, in the namespace `gloo-mesh`.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "admin.gloo.solo.io",
    version = "v2alpha1",
    kind = "InsightsConfig",
    plural = "insightsconfigs",
    namespaced,
    status = "InsightsConfigStatus",
    derive = "PartialEq",
    doc = "Which insights are switched off.",
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
#[serde(rename_all = "camelCase")]
pub struct InsightsConfigSpec {
    /// Codes, as `CFG0002`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 16)))]
    #[x_kube(validation = Rule::new("self.all(code, code.matches('^[A-Z]{2,3}[0-9]{4}$'))").message("a code is two or three capital letters and four digits, as in CFG0002"))]
    pub disabled_insights: Vec<String>,
}

/// What is said about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsConfigStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
}
