//! The side of who is asked: a node, or a relay by its own clients.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, ServerName},
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_util::sync::CancellationToken;

use super::{TlsError, certificates, private_key, provider, read, roots, unusable, warn};

/// How soon a changed file is noticed. Certificates change days before they end.
const LOOK: Duration = Duration::from_secs(10);

/// Where the certificates are, and who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub clients: Clients,
}

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Clients with a certificate.
    Of {
        /// The authorities of clients.
        authorities: PathBuf,
        /// Names one of which a client's certificate must have. Empty means every client of the authorities.
        names: Vec<String>,
    },
    /// Everybody. What is said is secret on its way, and that is all.
    Anyone,
}

impl Clients {
    fn authorities(&self) -> Option<&PathBuf> {
        match self {
            Self::Of { authorities, .. } => Some(authorities),
            Self::Anyone => None,
        }
    }

    fn names(&self) -> &[String] {
        match self {
            Self::Of { names, .. } => names,
            Self::Anyone => &[],
        }
    }
}

/// The configuration new connections get.
#[derive(Debug)]
pub struct Current {
    config: ArcSwap<ServerConfig>,
    names: Vec<ServerName<'static>>,
}

impl Current {
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether a client with this chain may ask. That an authority vouches for it was seen in the handshake.
    pub(crate) fn allows(&self, chain: &[CertificateDer<'_>]) -> bool {
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

/// The bytes of the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// The files, and what was made of them last.
pub(crate) struct Watched {
    files: ServerFiles,
    contents: Contents,
    current: Arc<Current>,
}

impl Watched {
    /// Reads the files. At the start they must be good.
    pub(crate) fn new(files: ServerFiles) -> Result<Self, TlsError> {
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::Name { name: name.clone() })
        };
        let names = files
            .clients
            .names()
            .iter()
            .map(name)
            .collect::<Result<_, _>>()?;
        let contents = contents(&files)?;
        let config = ArcSwap::from_pointee(configure(&files, &contents)?);
        let current = Arc::new(Current { config, names });
        Ok(Self {
            files,
            contents,
            current,
        })
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current)
    }

    /// Looks at the files from time to time, until `closing`.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        while closing
            .run_until_cancelled(tokio::time::sleep(LOOK))
            .await
            .is_some()
        {
            self.look();
        }
    }

    /// Uses the files when they changed and are good. Half of a change is none: the next look sees the rest.
    pub(crate) fn look(&mut self) {
        let contents = match contents(&self.files) {
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

fn contents(files: &ServerFiles) -> Result<Contents, TlsError> {
    Ok(Contents {
        certificate: read(&files.certificate)?,
        key: read(&files.key)?,
        authorities: files
            .clients
            .authorities()
            .map(|path| read(path))
            .transpose()?,
    })
}

fn configure(files: &ServerFiles, contents: &Contents) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = private_key(&files.key, &contents.key)?;
    let pair = unusable(&files.certificate, &files.key);
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(&pair)?;
    let builder = match verifier(files, contents)? {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(&pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Asks clients for a certificate of the authorities. `None` for everybody.
fn verifier(
    files: &ServerFiles,
    contents: &Contents,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (Some(path), Some(bytes)) = (files.clients.authorities(), &contents.authorities) else {
        return Ok(None);
    };
    let roots = Arc::new(roots(path, bytes)?);
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map(Some)
        .map_err(|source| TlsError::Authorities {
            path: path.clone(),
            source,
        })
}
