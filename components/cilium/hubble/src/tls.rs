//! Mutual TLS, with files that are read anew when they change.

pub mod client;
pub mod server;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Why the files cannot be used. The ones read before stay in use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {path} as {what} in PEM")]
    Pem {
        path: PathBuf,
        what: &'static str,
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} has no certificate")]
    Empty { path: PathBuf },
    #[error("cannot use the authorities in {path}")]
    Authorities {
        path: PathBuf,
        source: rustls::server::VerifierBuilderError,
    },
    #[error("cannot use {certificate} with {key}: they must belong together")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("cannot allow clients named {name:?}: it is no DNS name or address")]
    Name { name: String },
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn roots(path: &Path, bytes: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path, bytes)?);
    Ok(roots)
}

fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        what: "a key",
        source,
    })
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            what: "certificates",
            source,
        })?;
    if certificates.is_empty() {
        Err(TlsError::Empty {
            path: path.to_owned(),
        })
    } else {
        Ok(certificates)
    }
}

fn unusable(certificate: &Path, key: &Path) -> impl Fn(rustls::Error) -> TlsError {
    move |source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    }
}

fn warn(error: &TlsError) {
    let cause = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::warn!(%error, cause, "Hubble goes on with the certificate it has");
}
