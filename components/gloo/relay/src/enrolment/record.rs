//! What the management cluster stores of a token, and the decision about a use of it.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use gloo_api::ClusterName;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Token;
/// How long a token may be good for.
pub const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(1);

/// One cluster's entry in the Secret `relay-enrolment-tokens`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    pub cluster: String,
    /// SHA-256 of the token, in base64 without padding.
    pub sha256: String,
    pub expires: Timestamp,
    /// Certificates of an older epoch are revoked.
    #[serde(default)]
    pub epoch: u64,
    /// The UID the cluster was first enrolled with. A later token is for the same one; to enrol another cluster under the name,
    /// its entry is deleted first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Use>,
}

/// Who used the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// SHA-256 of the public key, in base64 without padding.
    pub key_sha256: String,
    pub at: Timestamp,
}

/// Why a token is not accepted. The caller of the RPC is told no more than that; the log and the alert say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    #[error("no token is known for the cluster, or it is another one")]
    Wrong,
    #[error("the token has expired; register the cluster again")]
    Expired,
    #[error(
        "the token was used before, with another key: somebody else may have it; register the cluster again"
    )]
    Reused,
    #[error(
        "the token was made for another cluster UID; delete the entry of the cluster to enrol a new cluster under its name"
    )]
    OtherCluster,
}

impl TokenRecord {
    /// For a new registration. `before` is the cluster's entry so far: its UID and epoch stay.
    pub fn new(
        cluster: &ClusterName,
        token: &Token,
        now: Timestamp,
        ttl: SignedDuration,
        before: Option<&Self>,
    ) -> Self {
        Self {
            cluster: cluster.to_string(),
            sha256: BASE64_STANDARD_NO_PAD.encode(token.hash()),
            expires: now.saturating_add(ttl.min(LONGEST_TTL)).unwrap_or(now),
            epoch: before.map_or(0, |before| before.epoch),
            cluster_uid: before.and_then(|before| before.cluster_uid.clone()),
            used_by: None,
        }
    }

    /// Revokes every certificate of the cluster so far.
    pub fn revoke(&mut self) {
        self.epoch += 1;
    }
}

/// Decides about a use of a token, and returns the record that must be stored *before* a certificate is given out.
///
/// The time it takes does not depend on how much of the token is right, nor on whether the cluster is known. The same key may
/// use the token again until it expires: an answer lost on the way costs no second registration, and helps only who holds
/// the key.
pub fn verify(
    record: Option<&TokenRecord>,
    cluster: &ClusterName,
    cluster_uid: &str,
    token: &Token,
    key_sha256: [u8; 32],
    now: Timestamp,
) -> Result<TokenRecord, EnrolError> {
    let stored = record.and_then(|record| BASE64_STANDARD_NO_PAD.decode(&record.sha256).ok());
    let known = stored.as_ref().is_some_and(|stored| stored.len() == 32);
    let stored = stored.filter(|_| known).unwrap_or_else(|| vec![0; 32]);
    let right = bool::from(stored.ct_eq(&token.hash()));
    let record = record
        .filter(|record| known && right && record.cluster == cluster.as_str())
        .ok_or(EnrolError::Wrong)?;
    if now >= record.expires {
        return Err(EnrolError::Expired);
    }
    if cluster_uid.is_empty()
        || record
            .cluster_uid
            .as_deref()
            .is_some_and(|uid| uid != cluster_uid)
    {
        return Err(EnrolError::OtherCluster);
    }
    let key_sha256 = BASE64_STANDARD_NO_PAD.encode(key_sha256);
    let used = match &record.used_by {
        Some(used) if used.key_sha256 != key_sha256 => return Err(EnrolError::Reused),
        Some(used) => used.clone(),
        None => Use {
            key_sha256,
            at: now,
        },
    };
    Ok(TokenRecord {
        cluster_uid: Some(cluster_uid.to_owned()),
        used_by: Some(used),
        ..record.clone()
    })
}
