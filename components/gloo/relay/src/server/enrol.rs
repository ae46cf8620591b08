//! The service `Enrolment`.

use std::{
    error::Error,
    sync::Arc,
    time::{Instant, SystemTime},
};

use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenRecord},
};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::{
    Hub, Standing,
    connection::Remote,
    rate::Rate,
    relay::{judge, peer},
};
use crate::{
    enrolment::{EnrolError, Signed, Signer, SignerError, verify},
    proto::{
        Certificate, EnrolRequest, RenewRequest, TelemetryCredential, TelemetryRequest,
        enrolment_server::Enrolment,
    },
    telemetry::TelemetrySigner,
    tls::Peer,
};

/// Attempts to store a use when others write the same Secret.
const ATTEMPTS: u32 = 5;

/// A cluster's record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub record: TokenRecord,
    /// What makes a later write fail when somebody else wrote meanwhile.
    pub version: String,
}

/// Where tokens' records are kept.
#[tonic::async_trait]
pub trait Tokens: Send + Sync + 'static {
    async fn read(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Stored>, Box<dyn Error + Send + Sync>>;
    /// `false`: somebody wrote since `stored` was read, and nothing was stored.
    async fn store(
        &self,
        cluster: &ClusterName,
        stored: Stored,
    ) -> Result<bool, Box<dyn Error + Send + Sync>>;
    /// Somebody tried with a token that is not accepted. Worth an alert.
    async fn refused(&self, cluster: &ClusterName, why: EnrolError);
}

/// Serves enrolment and renewal.
pub(super) struct EnrolmentService {
    pub(super) hub: Arc<dyn Hub>,
    pub(super) tokens: Arc<dyn Tokens>,
    pub(super) signer: Arc<Signer>,
    pub(super) telemetry: Option<TelemetrySigner>,
    pub(super) rate: Rate,
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<Certificate>, Status> {
        self.allowed(&request)?;
        let request = request.into_inner();
        let cluster: ClusterName = request
            .cluster
            .parse()
            .map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let Ok(token) = Token::parse(&request.token) else {
            self.tokens.refused(&cluster, EnrolError::Wrong).await;
            return Err(refused());
        };
        let csr = Signed::read(&request.csr).map_err(|error| unsigned(&error))?;
        if !uid(&request.cluster_uid) {
            return Err(Status::invalid_argument("the cluster UID is no UID"));
        }
        let record = self
            .consume(&cluster, &request.cluster_uid, &token, &csr)
            .await?;
        self.sign(&cluster, &request.cluster_uid, record.epoch, &csr)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Certificate>, Status> {
        let (peer, epoch) = self.known(&request).await?;
        let csr = Signed::read(&request.into_inner().csr).map_err(|error| unsigned(&error))?;
        self.sign(&peer.cluster, &peer.cluster_uid, epoch, &csr)
    }

    async fn telemetry(
        &self,
        request: Request<TelemetryRequest>,
    ) -> Result<Response<TelemetryCredential>, Status> {
        let (peer, _) = self.known(&request).await?;
        let Some(signer) = &self.telemetry else {
            let why = "there is no telemetry gateway in the management cluster";
            return Err(Status::failed_precondition(why));
        };
        let given = signer.sign(&peer.cluster, SystemTime::now());
        let given = given.map_err(|error| {
            let cause = Error::source(&error).map(ToString::to_string);
            tracing::error!(cluster = %peer.cluster, %error, cause, "cannot make a token for telemetry");
            Status::internal(error.to_string())
        })?;
        tracing::info!(cluster = %peer.cluster, "an agent got a token for telemetry");
        Ok(Response::new(given))
    }
}

impl EnrolmentService {
    /// Who asks, by the certificate, and the epoch of the cluster; refused when it is not registered or was revoked.
    async fn known<T>(&self, request: &Request<T>) -> Result<(Peer, u64), Status> {
        let peer = peer(request)?;
        let standing = self.hub.standing(&peer.cluster).await;
        judge(&peer, &standing).map_err(|refused| Status::permission_denied(refused.reason))?;
        let Standing::Known { epoch, .. } = standing else {
            return Err(Status::permission_denied("the cluster is not registered"));
        };
        Ok((peer, epoch))
    }

    fn allowed<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let remote = request.extensions().get::<Remote>();
        let allowed =
            remote.is_some_and(|remote| self.rate.allows(remote.address.ip(), Instant::now()));
        allowed.then_some(()).ok_or_else(|| {
            Status::resource_exhausted("too many attempts to enrol; try again in a minute")
        })
    }

    /// Stores the use before anything is given for it.
    async fn consume(
        &self,
        cluster: &ClusterName,
        cluster_uid: &str,
        token: &Token,
        csr: &Signed,
    ) -> Result<TokenRecord, Status> {
        for _ in 0..ATTEMPTS {
            let stored = self
                .tokens
                .read(cluster)
                .await
                .map_err(|error| unavailable(cluster, &*error))?;
            let record = stored.as_ref().map(|stored| &stored.record);
            let key = csr.key_sha256();
            let record = match verify(record, cluster, cluster_uid, token, key, Timestamp::now()) {
                Ok(record) => record,
                Err(why) => {
                    tracing::warn!(%cluster, %why, "an enrolment was refused");
                    self.tokens.refused(cluster, why).await;
                    return Err(refused());
                }
            };
            let version = stored.map(|stored| stored.version).unwrap_or_default();
            let used = Stored {
                record: record.clone(),
                version,
            };
            let done = self.tokens.store(cluster, used).await;
            if done.map_err(|error| unavailable(cluster, &*error))? {
                return Ok(record);
            }
        }
        Err(Status::unavailable(
            "the use of the token could not be stored; try again",
        ))
    }

    fn sign(
        &self,
        cluster: &ClusterName,
        cluster_uid: &str,
        epoch: u64,
        csr: &Signed,
    ) -> Result<Response<Certificate>, Status> {
        let now = SystemTime::now();
        let certificate = self
            .signer
            .client(cluster, cluster_uid, epoch, csr, now, rand::random())
            .map_err(|error| {
                let cause = Error::source(&error).map(ToString::to_string);
                tracing::error!(%cluster, %error, cause, "cannot make a certificate");
                Status::internal(error.to_string())
            })?;
        tracing::info!(%cluster, epoch, "an agent got a certificate");
        Ok(Response::new(certificate))
    }
}

/// UUIDs, and nothing that could end the name it becomes a part of.
fn uid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// One answer for all: who guesses learns nothing.
fn refused() -> Status {
    Status::permission_denied(
        "the token is not accepted: wrong, used, expired or made for another cluster; register the cluster again",
    )
}

fn unsigned(error: &SignerError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn unavailable(cluster: &ClusterName, error: &dyn Error) -> Status {
    tracing::warn!(%cluster, %error, "cannot reach the records of enrolment tokens");
    Status::unavailable("the records of tokens cannot be reached now; try again")
}
