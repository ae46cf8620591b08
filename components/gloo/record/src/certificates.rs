//! Certificates of ours and Cilium's: in Secrets, and as endpoints show them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was found about certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    pub certificates: Vec<Certificate>,
    pub unreadable: Vec<Unreadable>,
}

/// One certificate: the leaf of what is at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    pub place: Place,
    pub subject: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// As `ECDSA P-256`, `RSA`, `Ed25519`.
    pub key: String,
    /// Bits of the key; 0 when the kind is not known.
    pub key_bits: u32,
    /// As `ecdsa-with-SHA256`.
    pub signature: String,
    /// DNS names and addresses it is good for.
    pub names: Vec<String>,
    pub authority: bool,
    /// Certificates above it in the chain that came along.
    pub chain: u32,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// What it is verified by beside it: its `ca.crt`, or the authority the endpoint is known by.
    pub trust: Trust,
    /// The name clients ask for; absent when none is known.
    pub expected_name: Option<String>,
}

/// Whether the authority that clients use signed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// By the authority beside it.
    Verified,
    /// Not, and why.
    Broken(String),
    /// There is no authority to hold it against.
    #[default]
    Unknown,
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    Secret {
        namespace: String,
        name: String,
        key: String,
    },
    /// `host:port` that showed it.
    Endpoint { name: String, address: String },
}

impl Place {
    /// As people say it.
    pub fn sentence(&self) -> String {
        match self {
            Self::Secret {
                namespace,
                name,
                key,
            } => format!("Secret {namespace}/{name} key {key}"),
            Self::Endpoint { name, address } => format!("{name} at {address}"),
        }
    }
}

/// A certificate that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    pub place: Place,
    pub why: String,
}
