//! The agent's side.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use super::{TlsError, certificates, provider};

/// The agent's certificate and key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

/// Never the key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Identity(…)")
    }
}

/// Verifies the server by `roots` (PEM). Without an identity only enrolment will be served.
pub fn client_config(
    roots: &str,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    const ROOTS: &str = "relay-root-tls-secret";
    const IDENTITY: &str = "relay-client-tls-secret";
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates(ROOTS, roots.as_bytes())?);
    let pair = |source| TlsError::Pair {
        what: IDENTITY.to_owned(),
        source,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pair)?
        .with_root_certificates(store);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(IDENTITY, identity.chain.as_bytes())?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|source| {
                TlsError::Pem {
                    what: IDENTITY.to_owned(),
                    source,
                }
            })?;
            builder.with_client_auth_cert(chain, key).map_err(pair)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would carry the certificate of the first handshake, not the renewed one.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
