//! Who is who: the API server's certificate towards clients, the front proxy's towards the API server, and the names in
//! clients' certificates and tokens.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::Error;

/// TLS on both sides.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Towards clients, as the API server.
    pub(super) server: Arc<ServerConfig>,
    /// Towards the API server, as the front proxy, for clients with a certificate.
    pub(super) front_proxy: Arc<ClientConfig>,
    /// Towards the API server without a certificate, for all others.
    pub(super) anonymous: Arc<ClientConfig>,
}

impl Credentials {
    pub(super) fn load(pki: &Path) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate(pki, "ca")?).map_err(tls)?;
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| Error::Tls(error.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate(pki, "apiserver")?], key(pki, "apiserver")?)
            .map_err(tls)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map(|builder| builder.with_root_certificates(Arc::clone(&roots)))
        };
        let name = "front-proxy-client";
        let front_proxy = client()
            .map_err(tls)?
            .with_client_auth_cert(vec![certificate(pki, name)?], key(pki, name)?)
            .map_err(tls)?;
        let anonymous = client().map_err(tls)?.with_no_client_auth();
        Ok(Self {
            server: Arc::new(server),
            front_proxy: Arc::new(front_proxy),
            anonymous: Arc::new(anonymous),
        })
    }
}

fn tls(error: rustls::Error) -> Error {
    Error::Tls(error.to_string())
}

fn certificate(pki: &Path, name: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_file(pki.join(format!("{name}.crt")))
        .map_err(|e| Error::Tls(format!("{name}.crt: {e}")))
}

fn key(pki: &Path, name: &str) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(pki.join(format!("{name}.key")))
        .map_err(|e| Error::Tls(format!("{name}.key: {e}")))
}

/// A client by its verified certificate: common name is the user, organizations are the groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

impl Subject {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let subject = parsed.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|o| o.as_str().ok())
            .map(str::to_owned)
            .collect();
        Some(Self { user, groups })
    }
}

/// The name a bearer token claims. Not checked: it only chooses rules; the API server decides what it is worth.
pub(super) fn claimed(authorization: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let token = authorization.strip_prefix("Bearer ")?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.sub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addressing::{Addressing, Ordinal};
    use crate::pki::{Leaf, Pki};

    #[test]
    fn a_kubelet_is_known_by_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::at(dir.path().to_owned());
        let leaf = Leaf::kubelet(
            &Addressing::new("default".parse().unwrap(), 0),
            Ordinal::worker(1).unwrap(),
        );
        pki.ensure_roots().unwrap();
        pki.ensure(&leaf).unwrap();
        let subject = Subject::of(&certificate(dir.path(), &leaf.name).unwrap()).unwrap();
        assert_eq!(subject.user, "system:node:worker-1");
        assert_eq!(subject.groups, ["system:nodes"]);
    }

    #[test]
    fn a_service_account_is_known_by_its_token() {
        let claims =
            URL_SAFE_NO_PAD.encode(r#"{"sub":"system:serviceaccount:kube-system:cilium"}"#);
        let header = format!("Bearer e30.{claims}.c2ln");
        assert_eq!(
            claimed(&header).as_deref(),
            Some("system:serviceaccount:kube-system:cilium")
        );
        assert_eq!(claimed("Bearer nonsense"), None);
        assert_eq!(claimed("Basic eDp5"), None);
    }
}
