//! What the plugin says when it fails: a number of the CNI specification and one sentence.

use serde::Serialize;

use crate::install::CONFLIST;

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
    #[error(
        "reading the network configuration from standard input; the runtime ended it early, call again"
    )]
    ReadInput(#[source] std::io::Error),
    #[error(
        "the network configuration on standard input is not what the CNI specification asks for; put /etc/cni/net.d/{CONFLIST} right, or restart pod cilium of the node, which writes it"
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
        let details = std::error::Error::source(self)
            .map(chain)
            .unwrap_or_default();
        ErrorObject {
            cni_version: cni_version.to_owned(),
            code: self.code(),
            msg: self.to_string(),
            details,
        }
    }
}

/// An error with its causes on one line. Libraries that repeat their cause in their own text are not repeated again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Layer {
            text,
            source: layers(rest),
        }))
    }

    #[test]
    fn causes_follow_their_effect_and_none_is_said_twice() {
        let error = layers(&["cannot write X", "request failed: refused", "refused"]).unwrap();
        assert_eq!(chain(&*error), "cannot write X: request failed: refused");
    }

    #[test]
    fn the_error_object_has_the_code_a_sentence_and_the_cause() {
        let source = std::io::Error::other("disk full");
        let failure = Failure::Queue {
            path: "/var/run/cilium/deleteQueue".to_owned(),
            source,
        };
        let object = serde_json::to_value(failure.object("1.0.0")).unwrap();
        assert_eq!(object["cniVersion"], "1.0.0");
        assert_eq!(object["code"], 104);
        assert_eq!(object["details"], "disk full");
    }
}
