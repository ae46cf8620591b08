//! The server's side, with files that are read anew when they change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_util::sync::CancellationToken;

use super::{TlsError, certificates, provider};

/// How soon a changed file is noticed.
const LOOK: Duration = Duration::from_secs(5);

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of agents.
    pub client_authorities: PathBuf,
}

/// The configuration new connections get.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    contents: ArcSwap<[Vec<u8>; 3]>,
    config: ArcSwap<ServerConfig>,
}

impl ServerTls {
    /// Reads the files. At the start they must be good.
    pub fn new(files: ServerFiles) -> Result<Arc<Self>, TlsError> {
        let contents = read(&files)?;
        let config = configure(&files, &contents)?;
        Ok(Arc::new(Self {
            files,
            contents: ArcSwap::from_pointee(contents),
            config: ArcSwap::from(config),
        }))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Looks at the files from time to time, until `closing`.
    pub async fn watch(&self, closing: CancellationToken) {
        while closing
            .run_until_cancelled(tokio::time::sleep(LOOK))
            .await
            .is_some()
        {
            if let Err(error) = self.look() {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the relay goes on with the certificate it has");
            }
        }
    }

    /// Uses the files when they changed and are good. Half of a change is none: the next look sees the rest.
    pub fn look(&self) -> Result<(), TlsError> {
        let contents = read(&self.files)?;
        if contents == **self.contents.load() {
            return Ok(());
        }
        self.config.store(configure(&self.files, &contents)?);
        self.contents.store(Arc::new(contents));
        tracing::info!("the relay uses its new certificate");
        Ok(())
    }
}

fn read(files: &ServerFiles) -> Result<[Vec<u8>; 3], TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok([
        read(&files.certificate)?,
        read(&files.key)?,
        read(&files.client_authorities)?,
    ])
}

/// A client without a certificate gets through the handshake, for it may want to enrol; the services ask.
fn configure(
    files: &ServerFiles,
    [certificate, key, authorities]: &[Vec<u8>; 3],
) -> Result<Arc<ServerConfig>, TlsError> {
    let name = |path: &Path| path.display().to_string();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&name(&files.client_authorities), authorities)?);
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|source| TlsError::Authorities {
            what: name(&files.client_authorities),
            source,
        })?;
    let chain = certificates(&name(&files.certificate), certificate)?;
    let private = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::Pem {
        what: name(&files.key),
        source,
    })?;
    let pair = |source| TlsError::Pair {
        what: name(&files.certificate),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would skip the look at the client's certificate and its end.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
