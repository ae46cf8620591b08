//! Authorities and certificates for tests and measurements.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what a test needs fails the test it serves"
)]

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::tls::{ServerFiles, ServerTls};

/// Certificate and key in PEM.
pub fn authority(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    (
        parameters.self_signed(&key).unwrap().pem(),
        key.serialize_pem(),
    )
}

/// A server's certificate and key in PEM.
pub fn server(authority: &(String, String), name: &str) -> (String, String) {
    let issuer =
        Issuer::from_ca_cert_pem(&authority.0, KeyPair::from_pem(&authority.1).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (
        parameters.signed_by(&key, &issuer).unwrap().pem(),
        key.serialize_pem(),
    )
}

/// What the server `name` of the authority `servers` shows, and whose clients it takes. The files go with the folder.
pub fn server_tls(
    servers: &(String, String),
    clients: &(String, String),
    name: &str,
) -> (Arc<ServerTls>, TempDir) {
    let (certificate, key) = server(servers, name);
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let tls = ServerTls::new(ServerFiles {
        certificate: write("tls.crt", &certificate),
        key: write("tls.key", &key),
        client_authorities: write("ca.crt", &clients.0),
    });
    (tls.unwrap(), files)
}
