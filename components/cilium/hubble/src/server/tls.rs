//! Mutual TLS, with files that are read anew when they change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use tokio_util::sync::CancellationToken;

/// How soon a changed file is noticed. Certificates change days before they end.
const LOOK: Duration = Duration::from_secs(10);

/// Where the certificates are, and who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of clients.
    pub client_authorities: PathBuf,
    /// Names one of which a client's certificate must have. Empty means every client of the authorities.
    pub client_names: Vec<String>,
}

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

/// The configuration new connections get.
#[derive(Debug)]
pub struct Current {
    config: ArcSwap<ServerConfig>,
    names: Vec<ServerName<'static>>,
}

impl Current {
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether a client with this chain may ask. That an authority vouches for it was seen in the handshake.
    pub(super) fn allows(&self, chain: &[CertificateDer<'_>]) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let Some(Ok(certificate)) = chain.first().map(ParsedCertificate::try_from) else {
            return false;
        };
        self.names
            .iter()
            .any(|name| rustls::client::verify_server_name(&certificate, name).is_ok())
    }
}

/// The bytes of the three files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<u8>,
}

/// The files, and what was made of them last.
pub(super) struct Watched {
    files: TlsFiles,
    contents: Contents,
    current: Arc<Current>,
}

impl Watched {
    /// Reads the files. At the start they must be good.
    pub(super) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::Name { name: name.clone() })
        };
        let names = files
            .client_names
            .iter()
            .map(name)
            .collect::<Result<_, _>>()?;
        let contents = read(&files)?;
        let config = ArcSwap::from_pointee(configure(&files, &contents)?);
        let current = Arc::new(Current { config, names });
        Ok(Self {
            files,
            contents,
            current,
        })
    }

    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current)
    }

    /// Looks at the files from time to time, until `closing`.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        while closing
            .run_until_cancelled(tokio::time::sleep(LOOK))
            .await
            .is_some()
        {
            self.look();
        }
    }

    /// Uses the files when they changed and are good. Half of a change is none: the next look sees the rest.
    pub(super) fn look(&mut self) {
        let contents = match read(&self.files) {
            Ok(contents) if contents == self.contents => return,
            Ok(contents) => contents,
            Err(error) => return warn(&error),
        };
        match configure(&self.files, &contents) {
            Ok(config) => {
                self.current.config.store(Arc::new(config));
                self.contents = contents;
                tracing::info!(certificate = %self.files.certificate.display(), "Hubble uses its new certificate");
            }
            Err(error) => warn(&error),
        }
    }
}

fn warn(error: &TlsError) {
    let cause = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::warn!(%error, cause, "Hubble goes on with the certificate it has");
}

fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok(Contents {
        certificate: read(&files.certificate)?,
        key: read(&files.key)?,
        authorities: read(&files.client_authorities)?,
    })
}

fn configure(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(
        &files.client_authorities,
        &contents.authorities,
    )?);
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|source| TlsError::Authorities {
                path: files.client_authorities.clone(),
                source,
            })?;
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|source| TlsError::Pem {
        path: files.key.clone(),
        what: "a key",
        source,
    })?;
    let pair = |source| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
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
