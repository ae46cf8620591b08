//! Authorities and certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Certificate and key in PEM.
pub(crate) fn authority(name: &str) -> (String, String) {
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
pub(crate) fn server(authority: &(String, String), name: &str) -> (String, String) {
    let issuer =
        Issuer::from_ca_cert_pem(&authority.0, KeyPair::from_pem(&authority.1).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (
        parameters.signed_by(&key, &issuer).unwrap().pem(),
        key.serialize_pem(),
    )
}
