//! One-time tokens by which agents of clusters get their first certificate.
//!
//! What a token is and what is kept of it is [`gloo_api::enrolment`]'s; the management server reads the same entries.

use std::fmt;

pub use gloo_api::enrolment::LONGEST_TTL;
use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenRecord},
};
use gloonet_catalog::SecretName;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::fault::{is_conflict, is_not_found};

/// Annotation on a Secret with a token: the moment until which it can be used.
pub const EXPIRES: &str = "gloonetwork.io/token-expires";
/// The server and other registrations write the same Secret.
const TRIES: u32 = 5;

/// A token, and until when it can be used.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// 43 letters, digits, `-` and `_`. A secret.
    pub token: String,
    pub expires: Timestamp,
}

/// Never the token.
impl fmt::Debug for Enrolment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Enrolment(… until {})", self.expires)
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    #[error(
        "there is no Secret {namespace}/{name}: it is in the cluster that runs the management server, once its GlooNetwork is there"
    )]
    Absent { namespace: String, name: String },
    #[error("Secret {name} cannot be read")]
    Read { name: String, source: kube::Error },
    #[error(
        "the entry of cluster {cluster} in Secret {secret} is no record of a token; delete that key, then register the cluster again"
    )]
    Entry {
        cluster: ClusterName,
        secret: String,
        source: serde_json::Error,
    },
    #[error("the record of cluster {cluster} cannot be written as JSON")]
    Record {
        cluster: ClusterName,
        source: serde_json::Error,
    },
    #[error("Secret {name} cannot be written")]
    Write { name: String, source: kube::Error },
    #[error(
        "there is no entry of cluster {cluster} in Secret {secret}: it was never registered here, and nothing of it is served; gloonet clusters lists those that are"
    )]
    Unregistered {
        cluster: ClusterName,
        secret: String,
    },
}

impl EnrolmentError {
    /// What the API server, or the way to it, said.
    pub(crate) fn api(&self) -> Option<&kube::Error> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Absent { .. }
            | Self::Entry { .. }
            | Self::Record { .. }
            | Self::Unregistered { .. } => None,
        }
    }
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Certificates below it are refused.
    pub epoch: u64,
    /// Before this call the cluster had a token or certificates that were good.
    pub changed: bool,
}

/// Makes a token for `cluster`, in place of the one it had, and stores its hash in `records`. `ttl` is cut to [`LONGEST_TTL`].
pub async fn register(
    client: &Client,
    records: &SecretName,
    cluster: &ClusterName,
    ttl: SignedDuration,
    now: Timestamp,
) -> Result<Enrolment, EnrolmentError> {
    let token = Token::new(rand::random());
    let record = change(client, records, cluster, |before| {
        let record = TokenRecord::new(cluster, &token, now, ttl, before);
        Ok((record.clone(), Some(record)))
    });
    let expires = record.await?.expires;
    let token = token.reveal();
    Ok(Enrolment { token, expires })
}

/// Makes every certificate and token that `cluster` was given worth nothing. Done twice it changes nothing more.
pub async fn revoke(
    client: &Client,
    records: &SecretName,
    cluster: &ClusterName,
    now: Timestamp,
) -> Result<Revocation, EnrolmentError> {
    change(client, records, cluster, |before| {
        let before = before.ok_or_else(|| EnrolmentError::Unregistered {
            cluster: cluster.clone(),
            secret: format!("{}/{}", records.namespace, records.name),
        })?;
        let after = before.revoked(now);
        let (epoch, changed) = match &after {
            Some(after) => (after.epoch, true),
            None => (before.epoch, false),
        };
        Ok((Revocation { epoch, changed }, after))
    })
    .await
}

/// Reads the cluster's record and stores what `decide` makes of it, if it makes any; again when somebody else wrote meanwhile.
async fn change<T>(
    client: &Client,
    records: &SecretName,
    cluster: &ClusterName,
    decide: impl Fn(Option<&TokenRecord>) -> Result<(T, Option<TokenRecord>), EnrolmentError>,
) -> Result<T, EnrolmentError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &records.namespace);
    let mut tries = 1;
    loop {
        let (before, version) = read(&api, records, cluster).await?;
        let (said, after) = decide(before.as_ref())?;
        let Some(after) = after else { return Ok(said) };
        match store(&api, records, (cluster, &after, version)).await {
            Err(EnrolmentError::Write { source, .. }) if is_conflict(&source) && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(said),
        }
    }
}

/// The cluster's record, and the version of the Secret it was read from.
async fn read(
    api: &Api<Secret>,
    records: &SecretName,
    cluster: &ClusterName,
) -> Result<(Option<TokenRecord>, Option<String>), EnrolmentError> {
    let name = || format!("{}/{}", records.namespace, records.name);
    let found = match api.get(&records.name).await {
        Ok(found) => found,
        Err(error) if is_not_found(&error) => {
            return Err(EnrolmentError::Absent {
                namespace: records.namespace.clone(),
                name: records.name.clone(),
            });
        }
        Err(source) => {
            let name = name();
            return Err(EnrolmentError::Read { name, source });
        }
    };
    let entry = found
        .data
        .as_ref()
        .and_then(|data| data.get(cluster.as_str()));
    let record = entry
        .map(|entry| serde_json::from_slice(&entry.0))
        .transpose()
        .map_err(|source| EnrolmentError::Entry {
            cluster: cluster.clone(),
            secret: name(),
            source,
        })?;
    Ok((record, found.metadata.resource_version))
}

async fn store(
    api: &Api<Secret>,
    records: &SecretName,
    (cluster, record, version): (&ClusterName, &TokenRecord, Option<String>),
) -> Result<(), EnrolmentError> {
    let text = serde_json::to_vec(record).map_err(|source| EnrolmentError::Record {
        cluster: cluster.clone(),
        source,
    })?;
    // The resource version makes two writers a conflict: no use of a token and no revocation is ever overwritten unseen.
    let body = json!({
        "metadata": {"resourceVersion": version},
        "data": {cluster.as_str(): ByteString(text)},
    });
    let written = api
        .patch(&records.name, &PatchParams::default(), &Patch::Merge(&body))
        .await;
    written.map(drop).map_err(|source| EnrolmentError::Write {
        name: format!("{}/{}", records.namespace, records.name),
        source,
    })
}

#[cfg(test)]
mod tests;
