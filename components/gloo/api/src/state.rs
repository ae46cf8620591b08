//! What the management server says about a resource: `status.common.State`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Verdict on a resource.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Approval {
    /// Nobody has looked yet.
    #[default]
    Pending,
    /// Followed in full.
    Accepted,
    /// Followed; the message says what to look at.
    Warning,
    /// Not followed; what it would restrict stays restricted.
    Invalid,
    /// It could not be carried out; tried again.
    Failed,
}

impl Approval {
    /// As written in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Warning => "WARNING",
            Self::Invalid => "INVALID",
            Self::Failed => "FAILED",
        }
    }
}

/// Verdict, for which generation, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Generation of the resource this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// The verdict.
    #[serde(default)]
    pub approval: Approval,
    /// Sentences for people, empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The part of a status that every resource has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// Capitalized, as Gloo writes it.
    #[serde(rename = "State", default)]
    pub state: State,
}
