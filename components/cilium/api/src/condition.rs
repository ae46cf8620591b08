//! What the Cilium operator says of an object, in the form Kubernetes' tools read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Sentences for people, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
