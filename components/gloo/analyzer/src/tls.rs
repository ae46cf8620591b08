//! Certificates: how endpoints show them, and what is in them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gloo_record::certificates::{Certificate, Place, Trust};
use jiff::Timestamp;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use x509_parser::{
    certificate::X509Certificate,
    error::{PEMError, X509Error},
    extensions::GeneralName,
    nom,
    pem::Pem,
    prelude::FromDer,
    public_key::PublicKey,
};

const ANSWER: Duration = Duration::from_secs(5);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{name:?} is no name")]
    Name {
        name: String,
        source: InvalidDnsNameError,
    },
    #[error("nobody answers within {} s", ANSWER.as_secs())]
    Slow,
    #[error("there is no connection")]
    Connect { source: io::Error },
    #[error("what answers is not TLS, or shows no certificate")]
    Handshake { source: Option<io::Error> },
    #[error("there is no certificate in it")]
    Empty,
    #[error("it is not PEM")]
    Pem { source: PEMError },
    #[error("it is no X.509 certificate")]
    Parse { source: nom::Err<X509Error> },
}

/// The chain that a server shows, the leaf first. Nothing is verified: an expired certificate is what is looked for.
pub async fn shown(address: &str, server_name: &str) -> Result<Vec<Vec<u8>>, TlsError> {
    let name = ServerName::try_from(server_name.to_owned());
    let name = name.map_err(|source| TlsError::Name {
        name: server_name.to_owned(),
        source,
    })?;
    let recorder = Arc::new(Recorder {
        provider: ring::default_provider(),
        chain: Mutex::new(Vec::new()),
    });
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Handshake {
            source: Some(io::Error::other(error)),
        })?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    let stream = timeout(ANSWER, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| TlsError::Slow)?;
    let stream = stream.map_err(|source| TlsError::Connect { source })?;
    let connector = TlsConnector::from(Arc::new(config));
    let ended = timeout(ANSWER, connector.connect(name, stream)).await;
    let ended = ended.map_err(|_| TlsError::Slow)?;
    let chain = std::mem::take(
        &mut *recorder
            .chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    // A server that wants our certificate refuses us, after it has shown its own.
    if chain.is_empty() {
        return Err(TlsError::Handshake {
            source: ended.err(),
        });
    }
    Ok(chain)
}

/// Keeps what it is shown and believes all of it: nothing is sent over the connection.
#[derive(Debug)]
struct Recorder {
    provider: CryptoProvider,
    chain: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|one| one.to_vec()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificates of a PEM text, in its order.
pub fn pem(text: &[u8]) -> Result<Vec<Vec<u8>>, TlsError> {
    let mut chain = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|source| TlsError::Pem { source })?;
        if block.label == "CERTIFICATE" {
            chain.push(block.contents);
        }
    }
    if chain.is_empty() {
        return Err(TlsError::Empty);
    }
    Ok(chain)
}

/// What the leaf of a chain says, and whether `authority` (PEM) stands behind it.
pub fn describe(
    place: Place,
    chain: &[Vec<u8>],
    authority: Option<&[u8]>,
    expected_name: Option<String>,
) -> Result<Certificate, TlsError> {
    let leaf_der = chain.first().ok_or(TlsError::Empty)?;
    let leaf = parse(leaf_der)?;
    let trust = match authority {
        Some(text) => trust(chain, &pem(text)?)?,
        None => Trust::Unknown,
    };
    let (key, key_bits) = key(&leaf);
    Ok(Certificate {
        place,
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        not_before: time(leaf.validity().not_before.timestamp()),
        not_after: time(leaf.validity().not_after.timestamp()),
        key,
        key_bits,
        signature: signature(&leaf.signature_algorithm.algorithm.to_id_string()),
        names: names(&leaf),
        authority: leaf.is_ca(),
        chain: u32::try_from(chain.len() - 1).unwrap_or(u32::MAX),
        fingerprint: format!("{:x}", Sha256::digest(leaf_der)),
        trust,
        expected_name,
    })
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, TlsError> {
    let parsed = X509Certificate::from_der(der);
    let (_, certificate) = parsed.map_err(|source| TlsError::Parse { source })?;
    Ok(certificate)
}

/// Walks from the leaf up: each is signed by the next, the last one by an authority.
fn trust(chain: &[Vec<u8>], authorities: &[Vec<u8>]) -> Result<Trust, TlsError> {
    let mut current = parse(chain.first().ok_or(TlsError::Empty)?)?;
    for above in chain.get(1..).unwrap_or_default() {
        if signed_by_one_of(&current, authorities)? {
            return Ok(Trust::Verified);
        }
        let above = parse(above)?;
        if !signed(&current, &above) {
            let words = format!("{} did not sign {}", above.subject(), current.subject());
            return Ok(Trust::Broken(words));
        }
        current = above;
    }
    if signed_by_one_of(&current, authorities)? {
        return Ok(Trust::Verified);
    }
    let words = format!(
        "{} is signed by {}, which is not the authority that is known",
        current.subject(),
        current.issuer()
    );
    Ok(Trust::Broken(words))
}

fn signed_by_one_of(one: &X509Certificate<'_>, authorities: &[Vec<u8>]) -> Result<bool, TlsError> {
    for authority in authorities {
        if signed(one, &parse(authority)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn signed(one: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    one.issuer() == by.subject() && one.verify_signature(Some(by.public_key())).is_ok()
}

fn key(leaf: &X509Certificate<'_>) -> (String, u32) {
    let bits = |size: usize| u32::try_from(size).unwrap_or_default();
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA".to_owned(), bits(key.key_size())),
        Ok(PublicKey::DSA(_)) => ("DSA".to_owned(), 0),
        Ok(PublicKey::EC(key)) => (format!("ECDSA P-{}", key.key_size()), bits(key.key_size())),
        _ => match leaf
            .public_key()
            .algorithm
            .algorithm
            .to_id_string()
            .as_str()
        {
            "1.3.101.112" => ("Ed25519".to_owned(), 256),
            other => (other.to_owned(), 0),
        },
    }
}

/// Names of RFC 3279, 4055, 5758 and 8410.
fn signature(id: &str) -> String {
    match id {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    }
    .to_owned()
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

/// What lies outside of any calendar is put at its end.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf(by: &CertifiedIssuer<'_, KeyPair>) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let parameters =
            CertificateParams::new(vec!["a.example".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, by).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    fn place() -> Place {
        Place::Endpoint {
            name: "x".to_owned(),
            address: "y".to_owned(),
        }
    }

    #[test]
    fn a_leaf_is_verified_by_its_authority_and_by_no_other_of_the_same_name() {
        let (own, other) = (authority("CA"), authority("CA"));
        let chain = [leaf(&own).0];
        let of = |by: &CertifiedIssuer<'_, KeyPair>| {
            let pem = by.pem();
            describe(place(), &chain, Some(pem.as_bytes()), None).unwrap()
        };
        let found = of(&own);
        assert_eq!(found.trust, Trust::Verified);
        assert_eq!(found.names, ["a.example", "10.0.0.1"]);
        assert_eq!((found.key.as_str(), found.key_bits), ("ECDSA P-256", 256));
        assert_eq!(found.signature, "ecdsa-with-SHA256");
        assert!(matches!(of(&other).trust, Trust::Broken(_)));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(matches!(pem(b"nothing"), Err(TlsError::Empty)));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let chain = pem(broken).unwrap();
        let error = describe(place(), &chain, None, None).unwrap_err();
        assert_eq!(error.to_string(), "it is no X.509 certificate");
    }

    #[tokio::test]
    async fn a_server_is_asked_for_its_certificate_and_one_that_is_silent_is_told() {
        let own = authority("CA");
        let (der, key) = leaf(&own);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(der.clone())],
                PrivatePkcs8KeyDer::from(key).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        });
        assert_eq!(shown(&address, "a.example").await.unwrap(), [der]);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = free.local_addr().unwrap().to_string();
        drop(free);
        let refused = shown(&nobody, "a.example").await.unwrap_err();
        assert_eq!(refused.to_string(), "there is no connection");
    }
}
