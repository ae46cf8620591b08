//! One-time tokens by which agents of clusters get their first certificate.
//!
//! The token is shown once; the management cluster keeps a hash of it, in one Secret with one key per cluster. The server
//! reads the same entries, so their words are part of the wire: see `TokenRecord` of the relay.

use std::fmt;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use gloo_api::ClusterName;
use gloonet_catalog::SecretName;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fault::{is_conflict, is_not_found};

/// How long a token may be good for; the server accepts none that is good for longer.
pub const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(1);
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

/// One cluster's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    cluster: String,
    sha256: String,
    expires: Timestamp,
    #[serde(default)]
    epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster_uid: Option<String>,
}

impl Record {
    /// The UID of the cluster and the epoch of its certificates outlive every token.
    fn new(
        cluster: &ClusterName,
        token: &[u8; 32],
        expires: Timestamp,
        before: Option<Self>,
    ) -> Self {
        Self {
            cluster: cluster.to_string(),
            sha256: BASE64_STANDARD_NO_PAD.encode(Sha256::digest(token)),
            expires,
            epoch: before.as_ref().map_or(0, |before| before.epoch),
            cluster_uid: before.and_then(|before| before.cluster_uid),
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
    let token: [u8; 32] = rand::random();
    let expires = now
        .checked_add(ttl.min(LONGEST_TTL))
        .unwrap_or(now)
        .round(jiff::Unit::Second)
        .unwrap_or(now);
    let api: Api<Secret> = Api::namespaced(client.clone(), &records.namespace);
    let mut tries = 1;
    loop {
        match store(&api, records, cluster, &token, expires).await {
            Err(EnrolmentError::Write { source, .. }) if is_conflict(&source) && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
            Ok(()) => {
                let token = BASE64_URL_SAFE_NO_PAD.encode(token);
                return Ok(Enrolment { token, expires });
            }
        }
    }
}

async fn store(
    api: &Api<Secret>,
    records: &SecretName,
    cluster: &ClusterName,
    token: &[u8; 32],
    expires: Timestamp,
) -> Result<(), EnrolmentError> {
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
    let before = entry
        .map(|entry| serde_json::from_slice(&entry.0))
        .transpose()
        .map_err(|source| EnrolmentError::Entry {
            cluster: cluster.clone(),
            secret: name(),
            source,
        })?;
    let record = Record::new(cluster, token, expires, before);
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRES: &str = "2026-01-01T01:00:00Z";

    fn record(before: Option<Record>) -> Record {
        Record::new(
            &"east".parse().unwrap(),
            &[7; 32],
            EXPIRES.parse().unwrap(),
            before,
        )
    }

    /// The relay's `TokenRecord` reads exactly this.
    #[test]
    fn an_entry_has_the_words_the_server_reads() {
        assert_eq!(
            serde_json::to_value(record(None)).unwrap(),
            json!({
                "cluster": "east",
                "sha256": "S7Bvjk46dxXSAdVz0KpCN2LlXavWGiwCJ4+lbMbSlOA",
                "expires": EXPIRES,
                "epoch": 0,
            })
        );
    }

    #[test]
    fn a_new_token_keeps_the_clusters_uid_and_epoch_and_forgets_who_used_the_old_one() {
        let used = json!({
            "cluster": "east", "sha256": "x", "expires": EXPIRES, "epoch": 3, "clusterUid": "u-1",
            "usedBy": {"keySha256": "k", "at": EXPIRES},
        });
        let after = record(Some(serde_json::from_value(used).unwrap()));
        assert_eq!(
            (after.epoch, after.cluster_uid.as_deref()),
            (3, Some("u-1"))
        );
        assert!(!serde_json::to_string(&after).unwrap().contains("usedBy"));
    }

    #[test]
    fn a_token_is_never_printed_by_accident() {
        let enrolment = Enrolment {
            token: "canary".to_owned(),
            expires: EXPIRES.parse().unwrap(),
        };
        assert!(!format!("{enrolment:?}").contains("canary"));
    }
}
