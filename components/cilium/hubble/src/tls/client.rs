//! The side of who asks nodes: a relay.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ClientConfig, client::Resumption};

use super::{TlsError, certificates, private_key, provider, read, roots, unusable, warn};

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of servers.
    pub authorities: PathBuf,
}

/// The bytes of the three files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<u8>,
}

/// What new connections are made with.
pub struct ClientTls {
    files: ClientFiles,
    last: Mutex<(Contents, Arc<ClientConfig>)>,
}

impl ClientTls {
    /// Reads the files. At the start they must be good.
    pub fn new(files: ClientFiles) -> Result<Self, TlsError> {
        let contents = contents(&files)?;
        let config = Arc::new(configure(&files, &contents)?);
        Ok(Self {
            files,
            last: Mutex::new((contents, config)),
        })
    }

    /// The configuration for one more connection, out of the files as they are now. While they cannot be used, which may be
    /// half of a change, it is the one used before.
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.changed(&last.0) {
            Ok(None) => {}
            Ok(Some(new)) => {
                tracing::info!(certificate = %self.files.certificate.display(), "Hubble uses its new certificate");
                *last = new;
            }
            Err(error) => warn(&error),
        }
        Arc::clone(&last.1)
    }

    fn changed(&self, last: &Contents) -> Result<Option<(Contents, Arc<ClientConfig>)>, TlsError> {
        let contents = contents(&self.files)?;
        if contents == *last {
            return Ok(None);
        }
        let config = configure(&self.files, &contents)?;
        Ok(Some((contents, Arc::new(config))))
    }
}

/// Never the key.
impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn contents(files: &ClientFiles) -> Result<Contents, TlsError> {
    Ok(Contents {
        certificate: read(&files.certificate)?,
        key: read(&files.key)?,
        authorities: read(&files.authorities)?,
    })
}

fn configure(files: &ClientFiles, contents: &Contents) -> Result<ClientConfig, TlsError> {
    let roots = roots(&files.authorities, &contents.authorities)?;
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = private_key(&files.key, &contents.key)?;
    let pair = unusable(&files.certificate, &files.key);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(&pair)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(&pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would carry the certificate of the first handshake, not the renewed one.
    config.resumption = Resumption::disabled();
    Ok(config)
}
