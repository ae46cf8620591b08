//! Records of tokens, in the Secret `relay-enrolment-tokens`.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, PoisonError},
};

use gloo_api::{ClusterName, enrolment::TokenRecord, names};
use gloo_relay::{
    enrolment::EnrolError,
    server::{Stored, Tokens},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};

use crate::metrics::RefusedEnrolments;

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("cannot read Secret {}/{}", names::NAMESPACE, names::TOKENS)]
    Read { source: kube::Error },
    #[error("cannot write Secret {}/{}", names::NAMESPACE, names::TOKENS)]
    Write { source: kube::Error },
    #[error(
        "the record of cluster {cluster} in Secret {} cannot be read; register the cluster again",
        names::TOKENS
    )]
    Record {
        cluster: String,
        source: serde_json::Error,
    },
}

/// The Secret, and what was last read of it.
#[derive(Debug)]
pub struct Records {
    api: Api<Secret>,
    last: Mutex<BTreeMap<String, TokenRecord>>,
    refused: RefusedEnrolments,
}

impl Records {
    pub fn new(client: Client, refused: RefusedEnrolments) -> Self {
        Self {
            api: Api::namespaced(client, names::NAMESPACE),
            last: Mutex::default(),
            refused,
        }
    }

    async fn secret(&self) -> Result<Secret, RecordError> {
        let secret = self.api.get_opt(names::TOKENS).await;
        let secret = secret.map_err(|source| RecordError::Read { source })?;
        Ok(secret.unwrap_or_default())
    }

    /// Reads all records. One that cannot be read is reported and counts as none.
    pub async fn refresh(&self) -> Result<BTreeMap<String, TokenRecord>, RecordError> {
        let secret = self.secret().await?;
        let mut records = BTreeMap::new();
        for name in secret.data.iter().flatten().map(|(name, _)| name) {
            match record(&secret, name) {
                Ok(Some(record)) => drop(records.insert(name.clone(), record)),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a record of a token is no use"),
            }
        }
        *self.last() = records.clone();
        Ok(records)
    }

    fn last(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TokenRecord>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of a cluster; that last read when the API server is away, so that agents that lost their stream come back.
    pub async fn get(&self, cluster: &ClusterName) -> Option<TokenRecord> {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "records of tokens are as last read");
        }
        self.last().get(cluster.as_str()).cloned()
    }
}

fn record(secret: &Secret, cluster: &str) -> Result<Option<TokenRecord>, RecordError> {
    let Some(ByteString(bytes)) = secret.data.as_ref().and_then(|data| data.get(cluster)) else {
        return Ok(None);
    };
    let record = serde_json::from_slice(bytes);
    record.map(Some).map_err(|source| RecordError::Record {
        cluster: cluster.to_owned(),
        source,
    })
}

#[tonic::async_trait]
impl Tokens for Records {
    async fn read(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Stored>, Box<dyn Error + Send + Sync>> {
        let secret = self.secret().await?;
        let record = record(&secret, cluster.as_str())?;
        let version = secret.metadata.resource_version.unwrap_or_default();
        Ok(record.map(|record| Stored { record, version }))
    }

    async fn store(
        &self,
        cluster: &ClusterName,
        stored: Stored,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut secret = self.secret().await?;
        if secret.metadata.resource_version.as_ref() != Some(&stored.version) {
            return Ok(false);
        }
        let bytes = ByteString(serde_json::to_vec(&stored.record)?);
        let data = secret.data.get_or_insert_default();
        data.insert(cluster.to_string(), bytes);
        let parameters = PostParams::default();
        match self.api.replace(names::TOKENS, &parameters, &secret).await {
            Ok(_) => {
                // What comes with the certificate is judged by it, also when the API server has no time just then.
                self.last().insert(cluster.to_string(), stored.record);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(source) => Err(RecordError::Write { source }.into()),
        }
    }

    async fn refused(&self, cluster: &ClusterName, why: EnrolError) {
        tracing::warn!(%cluster, reason = %why, "somebody tried to enrol with a token that is not accepted");
        self.refused.count(why);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use http::{Method, Request, Response, StatusCode};
    use kube::{api::ObjectMeta, client::Body};

    use super::*;
    use crate::{metrics, shared::Shared, state::State};

    /// An API server that has this Secret, and no time once it took another.
    fn server(secret: Secret) -> Client {
        let (had, busy) = (Arc::new(secret), Arc::new(AtomicBool::new(false)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let took = request.method() == Method::PUT;
            let busy = busy.fetch_or(took, Ordering::Relaxed);
            let mut answer = Response::new(Body::from(serde_json::to_vec(&*had).unwrap()));
            if busy {
                *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            }
            async move { Ok::<_, Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn who_has_just_enrolled_is_known_although_the_api_server_has_no_time_then() {
        let west: ClusterName = "west".parse().unwrap();
        let record = TokenRecord {
            cluster: west.to_string(),
            sha256: String::new(),
            expires: jiff::Timestamp::UNIX_EPOCH,
            epoch: 0,
            cluster_uid: None,
            used_by: None,
        };
        let bytes = ByteString(serde_json::to_vec(&record).unwrap());
        let client = server(Secret {
            metadata: ObjectMeta {
                resource_version: Some("1".to_owned()),
                ..ObjectMeta::default()
            },
            data: Some([(west.to_string(), bytes)].into()),
            ..Secret::default()
        });
        let records = Records::new(client, RefusedEnrolments::default());
        assert_eq!(records.get(&west).await.unwrap().cluster_uid, None);
        let mut stored = records.read(&west).await.unwrap().unwrap();
        stored.record.cluster_uid = Some("0000-1111".to_owned());
        assert!(records.store(&west, stored).await.unwrap());
        let known = records.get(&west).await.unwrap();
        assert_eq!(known.cluster_uid.as_deref(), Some("0000-1111"));
    }

    #[tokio::test]
    async fn who_tries_with_a_token_that_is_not_accepted_is_counted_by_the_reason_and_by_no_name() {
        let state = State::new("mgmt".parse().unwrap(), true);
        let shared = Shared::new(state, "server".to_owned());
        let refused = shared.metrics.refused_enrolments.clone();
        let records = Records::new(server(Secret::default()), refused);
        let anybody = "anybody".parse().unwrap();
        records.refused(&anybody, EnrolError::Reused).await;
        let text = metrics::text(&shared).unwrap();
        for (reason, count) in [
            ("wrong", 0),
            ("expired", 0),
            ("reused", 1),
            ("other_cluster", 0),
        ] {
            let name = "gloo_mesh_relay_refused_enrolments_total";
            let counted = format!("{name}{{reason=\"{reason}\"}} {count}\n");
            assert!(text.contains(&counted), "{text}");
        }
        assert!(!text.contains("anybody"), "{text}");
    }
}
