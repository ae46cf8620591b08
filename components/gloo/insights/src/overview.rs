//! The engine's last run as a document: what it serves, and what the command line and the UI read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Code, Insight};

/// The last run, whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub run: String,
    pub ended: Timestamp,
    pub clusters: Vec<String>,
    pub insights: Vec<Insight>,
    /// Rules that could not say anything, and why.
    pub unknown: Vec<Unjudged>,
    /// What went wrong in the engine itself.
    pub errors: Vec<String>,
}

/// A rule that could not say anything about a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    pub code: Code,
    pub cluster: String,
    pub why: String,
}
