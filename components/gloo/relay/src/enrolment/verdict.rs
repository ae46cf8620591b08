//! The decision about a use of a token.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenRecord, Use},
};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

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
