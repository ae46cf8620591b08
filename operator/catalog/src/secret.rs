//! Which Secrets must exist. The values are made once by the cluster crate (randomness is an effect) and never regenerated.

use gloo_api::ClusterName;

use crate::object::digest;

/// A Secret the operator makes when it is missing. A Secret that exists is kept; only missing keys are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    pub namespace: String,
    pub name: String,
    pub kind: SecretKind,
}

/// What the Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKind {
    /// Keys `username` (as given) and `password` (`length` characters of `[A-Za-z0-9]`).
    Password { username: String, length: usize },
    /// Keys `username`, `password` and [`acl_key`]: the line of a Redis configuration that gives `username` the `rules`, its
    /// password as `#<hex sha256>`.
    RedisUser {
        username: String,
        rules: String,
        length: usize,
    },
    /// Keys `tls.crt` and `tls.key` of a self-signed certificate authority. Valid `days` days.
    Ca { common_name: String, days: u32 },
    /// Keys `tls.crt`, `tls.key`, `ca.crt`, signed by the [`SecretKind::Ca`] of the named Secret.
    /// Valid `days` days; made anew when less than a third of its life is left.
    Leaf {
        ca: SecretName,
        common_name: String,
        dns_names: Vec<String>,
        usages: Vec<KeyUsage>,
        days: u32,
    },
    /// Key `ca.crt`: the certificate of that authority and nothing of its key. Follows it when it is made anew.
    Root { ca: SecretName },
    /// Key `key`: `length` random bytes.
    Key { length: usize },
    /// Keys `key.pem` (an Ed25519 key, PKCS#8 in PEM) and `jwks.json` (its public part, RFC 8037).
    TokenKey,
    /// Made empty and then left alone: somebody else fills it, by rights to this name only.
    Vessel,
    /// Key `token`: a token with which the agent of `cluster` gets its first certificate, once and within the hour. Its hash
    /// goes into the Secret `records`. As long as a certificate in the Secret `certificate` is good, and stored beside the
    /// authority that is in the Secret `root` (key `ca.crt` of both), no token is needed, and none is made.
    Token {
        cluster: ClusterName,
        records: SecretName,
        certificate: SecretName,
        root: SecretName,
    },
}

/// Names one Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    pub namespace: String,
    pub name: String,
}

impl SecretName {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Extended key usage of a leaf (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    ServerAuth,
    ClientAuth,
}

/// Key of a Redis user's line. It names the rules, so that with other ones the Secret lacks a key and gets it, for the password it
/// has.
pub fn acl_key(rules: &str) -> String {
    format!("user-{}.acl", digest(&[rules]))
}

impl SecretKind {
    /// The keys the Secret must hold.
    pub fn keys(&self) -> Vec<String> {
        let fixed: &[&str] = match self {
            Self::Password { .. } | Self::RedisUser { .. } => &["username", "password"],
            Self::Ca { .. } => &["tls.crt", "tls.key"],
            Self::Leaf { .. } => &["tls.crt", "tls.key", "ca.crt"],
            Self::Root { .. } => &["ca.crt"],
            Self::Key { .. } => &["key"],
            Self::TokenKey => &["key.pem", "jwks.json"],
            Self::Vessel => &[],
            Self::Token { .. } => &["token"],
        };
        let mut keys: Vec<String> = fixed.iter().map(|key| (*key).to_owned()).collect();
        if let Self::RedisUser { rules, .. } = self {
            keys.push(acl_key(rules));
        }
        keys
    }

    /// The authority it is made from.
    pub fn authority(&self) -> Option<&SecretName> {
        match self {
            Self::Leaf { ca, .. } | Self::Root { ca } => Some(ca),
            Self::Password { .. }
            | Self::RedisUser { .. }
            | Self::Ca { .. }
            | Self::Key { .. }
            | Self::TokenKey
            | Self::Vessel
            | Self::Token { .. } => None,
        }
    }
}
