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
}

impl EnrolmentError {
    /// What the API server, or the way to it, said.
    pub(crate) fn api(&self) -> Option<&kube::Error> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Absent { .. } | Self::Entry { .. } | Self::Record { .. } => None,
        }
    }
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
    let api: Api<Secret> = Api::namespaced(client.clone(), &records.namespace);
    let mut tries = 1;
    loop {
        match store(&api, records, (cluster, &token, ttl, now)).await {
            Err(EnrolmentError::Write { source, .. }) if is_conflict(&source) && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
            Ok(expires) => {
                let token = token.reveal();
                return Ok(Enrolment { token, expires });
            }
        }
    }
}

/// Returns until when the token is good.
async fn store(
    api: &Api<Secret>,
    records: &SecretName,
    (cluster, token, ttl, now): (&ClusterName, &Token, SignedDuration, Timestamp),
) -> Result<Timestamp, EnrolmentError> {
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
    let before: Option<TokenRecord> = entry
        .map(|entry| serde_json::from_slice(&entry.0))
        .transpose()
        .map_err(|source| EnrolmentError::Entry {
            cluster: cluster.clone(),
            secret: name(),
            source,
        })?;
    let record = TokenRecord::new(cluster, token, now, ttl, before.as_ref());
    let text = serde_json::to_vec(&record).map_err(|source| EnrolmentError::Record {
        cluster: cluster.clone(),
        source,
    })?;
    // The resource version makes two writers a conflict: no use of a token and no revocation is ever overwritten unseen.
    let body = json!({
        "metadata": {"resourceVersion": found.metadata.resource_version},
        "data": {cluster.as_str(): ByteString(text)},
    });
    let written = api
        .patch(&records.name, &PatchParams::default(), &Patch::Merge(&body))
        .await;
    written.map_err(|source| EnrolmentError::Write {
        name: name(),
        source,
    })?;
    Ok(record.expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed_by_accident() {
        let enrolment = Enrolment {
            token: "canary".to_owned(),
            expires: Timestamp::UNIX_EPOCH,
        };
        assert!(!format!("{enrolment:?}").contains("canary"));
    }
}
