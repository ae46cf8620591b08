//! One insight, and what has become of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Code, Severity, Target};

/// Something a person should know, from its first observation on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Insight {
    /// `<code>/<cluster>/<target>`: the same thing has the same id as long as it is the same.
    pub id: String,
    pub code: Code,
    pub severity: Severity,
    pub cluster: String,
    pub target: Target,
    pub title: String,
    pub summary: String,
    pub evidence: BTreeMap<String, String>,
    pub state: State,
    pub created: Timestamp,
    /// When it was last seen to be so.
    pub observed: Timestamp,
    /// The engine's run that last judged it.
    pub run: String,
    /// The newest last.
    pub history: Vec<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppressed>,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum State {
    /// It is so.
    Active,
    /// It was so, and what it is judged by is missing since.
    Unknown { since: Timestamp, why: String },
    /// It is no longer so.
    Cleared { at: Timestamp },
    /// Nobody could say for so long that it is given up.
    Expired { at: Timestamp },
}

impl State {
    /// One word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unknown { .. } => "unknown",
            Self::Cleared { .. } => "cleared",
            Self::Expired { .. } => "expired",
        }
    }

    /// It is so as far as anybody knows.
    pub const fn stands(&self) -> bool {
        matches!(self, Self::Active | Self::Unknown { .. })
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub at: Timestamp,
    /// `created`, `cleared`, `unknown`, `known`, `expired`.
    pub what: String,
}

/// Somebody does not want to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    pub reason: String,
    pub until: Timestamp,
}
