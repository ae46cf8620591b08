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
    /// Severities other than the catalog's. Ours; Gloo has no such field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub severity_overrides: Vec<SeverityOverride>,
    /// What is known and not shown for a time. Ours; Gloo has no such field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub suppressions: Vec<SuppressedInsight>,
}

/// Another severity for a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeverityOverride {
    /// As `HLT0101`.
    #[schemars(length(max = 16))]
    pub code: String,
    /// How bad it is here.
    pub severity: InsightSeverity,
}

/// How bad an insight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum InsightSeverity {
    /// Worth knowing.
    Info,
    /// Will hurt, or does a little.
    Warning,
    /// Hurts.
    Error,
}

impl InsightSeverity {
    /// The word in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// An insight that is known and not shown for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressedInsight {
    /// As `HLT0101`.
    #[schemars(length(max = 16))]
    pub code: String,
    /// Any cluster when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cluster: Option<String>,
    /// As `gloonet insights` shows it, `Node/worker-1`. Any target when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub target: Option<String>,
    /// Why; shown beside it.
    #[schemars(length(min = 3, max = 500))]
    pub reason: String,
    /// The end of it, as `2026-12-31T00:00:00Z`. From then on the insight is shown again.
    #[schemars(length(max = 40))]
    pub until: String,
}

/// What is said about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsConfigStatus {
    /// The verdict.
    #[serde(default)]
    pub common: Common,
}
