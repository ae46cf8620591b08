//! What the plugin says when it fails: a number of the CNI specification and one sentence.

use std::fmt::Write as _;

use serde::Serialize;

/// A failed call. [`Failure::code`] gives the number of CNI specification 1.1, section "Error".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("CNI version {got:?} is not supported by cilium-cni; use one of {supported}")]
    IncompatibleVersion { got: String, supported: String },
    #[error("{verb} needs cniVersion {needed} or newer, but the network configuration says {got}")]
    VerbTooNew {
        verb: &'static str,
        needed: &'static str,
        got: &'static str,
    },
    #[error("the network configuration has {field:?}, which cilium-cni does not support; {cure}")]
    UnsupportedField {
        field: &'static str,
        cure: &'static str,
    },
    #[error(
        "network namespace {path:?} does not exist; the container is gone, call again for the new one"
    )]
    UnknownNamespace { path: String },
    #[error("environment variable {variable}: {problem}")]
    InvalidEnvironment {
        variable: &'static str,
        problem: String,
    },
    #[error("reading the network configuration from standard input")]
    ReadInput(#[source] std::io::Error),
    #[error(
        "the network configuration on standard input is not what the CNI specification asks for"
    )]
    Decode(#[source] serde_json::Error),
    #[error("network configuration: {0}")]
    InvalidConfig(String),
    #[error(
        "the Cilium agent of this node did not answer; it may be starting, see pod cilium in kube-system"
    )]
    AgentAway(#[source] crate::client::ClientError),
    #[error("the Cilium agent of this node cannot serve ADD: {0}")]
    NotAvailable(String),
    #[error("the Cilium agent refused {request}: {message}")]
    Refused {
        request: &'static str,
        message: String,
    },
    #[error(
        "interface {name} already exists in {netns}; a second ADD for one attachment is not allowed"
    )]
    InterfaceExists { name: String, netns: String },
    #[error("{doing}")]
    Link {
        doing: &'static str,
        #[source]
        source: datapath::link::Error,
    },
    #[error("{0} is not as the ADD result left it")]
    CheckFailed(String),
    #[error("the deletion queue {path} could not be written")]
    Queue {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} was not done within {1} s")]
    Deadline(&'static str, u64),
    #[error("starting the plugin's runtime")]
    Runtime(#[source] std::io::Error),
}

impl Failure {
    /// Numbers below 100 are the specification's, the others our own.
    pub fn code(&self) -> u32 {
        match self {
            Self::IncompatibleVersion { .. } | Self::VerbTooNew { .. } => 1,
            Self::UnsupportedField { .. } => 2,
            Self::UnknownNamespace { .. } => 3,
            Self::InvalidEnvironment { .. } => 4,
            Self::ReadInput(_) => 5,
            Self::Decode(_) => 6,
            Self::InvalidConfig(_) => 7,
            Self::AgentAway(_) | Self::Deadline(..) => 11,
            Self::NotAvailable(_) => 50,
            Self::Refused { .. } => 100,
            Self::InterfaceExists { .. } => 101,
            Self::Link { .. } => 102,
            Self::CheckFailed(_) => 103,
            Self::Queue { .. } => 104,
            Self::Runtime(_) => 105,
        }
    }

    /// The error object the runtime reads from standard output.
    pub fn object(&self, cni_version: &str) -> ErrorObject {
        let mut details = String::new();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let separator = if details.is_empty() { "" } else { ": " };
            let _ = write!(details, "{separator}{error}");
            cause = error.source();
        }
        ErrorObject {
            cni_version: cni_version.to_owned(),
            code: self.code(),
            msg: self.to_string(),
            details,
        }
    }
}

/// CNI specification 1.1, section "Error".
#[derive(Debug, Serialize)]
pub struct ErrorObject {
    #[serde(rename = "cniVersion")]
    pub cni_version: String,
    pub code: u32,
    pub msg: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
}
