//! Who a client is, read from its certificate.

use gloo_api::{ClusterName, ClusterNameError};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// An agent, as its certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub cluster: ClusterName,
    pub cluster_uid: String,
    /// Below the cluster's own: revoked.
    pub epoch: u64,
    /// Seconds since 1970, as `not_after`.
    pub not_before: i64,
    pub not_after: i64,
}

/// Why a certificate names no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("the client certificate cannot be parsed")]
    Parse,
    #[error("the client certificate has no name gloonet://CLUSTER/UID?epoch=N, or more than one")]
    Name,
    #[error("the client certificate names no cluster")]
    Cluster { source: ClusterNameError },
}

impl Peer {
    /// From a leaf that the handshake verified. Only the URI counts, and there must be one.
    pub fn of(leaf: &[u8]) -> Result<Self, PeerError> {
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| PeerError::Parse)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PeerError::Parse)?
            .ok_or(PeerError::Name)?;
        let mut uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix("gloonet://"),
                _ => None,
            });
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(PeerError::Name);
        };
        let (cluster, rest) = uri.split_once('/').ok_or(PeerError::Name)?;
        let (uid, epoch) = rest.split_once("?epoch=").ok_or(PeerError::Name)?;
        Ok(Self {
            cluster: cluster
                .parse()
                .map_err(|source| PeerError::Cluster { source })?,
            cluster_uid: uid.to_owned(),
            epoch: epoch.parse().map_err(|_| PeerError::Name)?,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}
