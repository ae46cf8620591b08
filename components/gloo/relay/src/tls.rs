//! Mutual TLS, and who the peer is.

mod client;
mod peer;
mod server;

pub use client::{Identity, client_config};
pub use peer::{Peer, PeerError};
pub use server::{ServerFiles, ServerTls};

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {what} as PEM")]
    Pem {
        what: String,
        source: rustls::pki_types::pem::Error,
    },
    #[error("there is no certificate in {what}")]
    Empty { what: String },
    #[error("cannot use the authorities in {what}")]
    Authorities {
        what: String,
        source: rustls::server::VerifierBuilderError,
    },
    #[error("cannot use the certificate with its key in {what}: they must belong together")]
    Pair { what: String, source: rustls::Error },
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem {
            what: what.to_owned(),
            source,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::Empty {
            what: what.to_owned(),
        });
    }
    Ok(certificates)
}
