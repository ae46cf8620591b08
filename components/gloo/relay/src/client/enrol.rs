//! The agent's calls for a certificate.

use std::time::Duration;

use gloo_api::ClusterName;
use rcgen::{CertificateParams, KeyPair};
use tonic::Request;

use super::{Credentials, DialError, Server, dial::dial};
use crate::{
    proto::{
        Certificate, EnrolRequest, RenewRequest, TelemetryCredential, TelemetryRequest,
        enrolment_client::EnrolmentClient,
    },
    tls::client_config,
};

const ANSWER: Duration = Duration::from_secs(15);

/// A new key, and the request for a certificate for it.
pub struct KeyRequest {
    /// PEM. It leaves this process only into the cluster's own Secret.
    pub key: String,
    pub csr: Vec<u8>,
}

/// Never the key.
impl std::fmt::Debug for KeyRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyRequest(…)")
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolCallError {
    #[error("cannot make a key")]
    Key { source: rcgen::Error },
    #[error("cannot ask for a certificate")]
    Dial { source: DialError },
    #[error("the management server gives no certificate: {}", .status.message())]
    Refused { status: Box<tonic::Status> },
}

impl EnrolCallError {
    /// Whether asking again with the same token can help.
    pub fn passes(&self) -> bool {
        match self {
            Self::Key { .. } => false,
            Self::Dial { .. } => true,
            Self::Refused { status } => !matches!(
                status.code(),
                tonic::Code::PermissionDenied | tonic::Code::InvalidArgument
            ),
        }
    }
}

impl KeyRequest {
    /// From the system's randomness.
    pub fn new() -> Result<Self, EnrolCallError> {
        let key = KeyPair::generate().map_err(|source| EnrolCallError::Key { source })?;
        Self::of(key)
    }

    /// For a key that exists: to ask again after an answer was lost.
    pub fn again(key: &str) -> Result<Self, EnrolCallError> {
        let key = KeyPair::from_pem(key).map_err(|source| EnrolCallError::Key { source })?;
        Self::of(key)
    }

    fn of(key: KeyPair) -> Result<Self, EnrolCallError> {
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(|source| EnrolCallError::Key { source })?;
        Ok(Self {
            key: key.serialize_pem(),
            csr: request.der().to_vec(),
        })
    }
}

/// Trades a token for the first certificate.
pub async fn enrol(
    server: &Server,
    roots: &str,
    cluster: &ClusterName,
    cluster_uid: &str,
    token: &str,
    request: &KeyRequest,
) -> Result<Certificate, EnrolCallError> {
    let tls = client_config(roots, None).map_err(|source| DialError::Tls { source });
    let channel = match tls {
        Ok(tls) => dial(server, tls).await,
        Err(error) => Err(error),
    };
    let channel = channel.map_err(|source| EnrolCallError::Dial { source })?;
    let mut request = Request::new(EnrolRequest {
        cluster: cluster.to_string(),
        token: token.trim().to_owned(),
        cluster_uid: cluster_uid.to_owned(),
        csr: request.csr.clone(),
    });
    request.set_timeout(ANSWER);
    let answer = EnrolmentClient::new(channel).enrol(request).await;
    taken(answer)
}

/// A certificate for another key of the same name, over the one there is.
pub async fn renew(
    server: &Server,
    credentials: &Credentials,
    request: &KeyRequest,
) -> Result<Certificate, EnrolCallError> {
    let mut client = client(server, credentials).await?;
    let mut request = Request::new(RenewRequest {
        csr: request.csr.clone(),
    });
    request.set_timeout(ANSWER);
    taken(client.renew(request).await)
}

/// What the cluster's collectors show the telemetry gateway.
pub async fn telemetry(
    server: &Server,
    credentials: &Credentials,
) -> Result<TelemetryCredential, EnrolCallError> {
    let mut client = client(server, credentials).await?;
    let mut request = Request::new(TelemetryRequest {});
    request.set_timeout(ANSWER);
    taken(client.telemetry(request).await)
}

/// A connection with the cluster's certificate.
async fn client(
    server: &Server,
    credentials: &Credentials,
) -> Result<EnrolmentClient<tonic::transport::Channel>, EnrolCallError> {
    let tls = client_config(&credentials.roots, Some(&credentials.identity))
        .map_err(|source| DialError::Tls { source });
    let channel = match tls {
        Ok(tls) => dial(server, tls).await,
        Err(error) => Err(error),
    };
    let channel = channel.map_err(|source| EnrolCallError::Dial { source })?;
    Ok(EnrolmentClient::new(channel))
}

fn taken<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T, EnrolCallError> {
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| EnrolCallError::Refused {
            status: Box::new(status),
        })
}
