//! The authority of agents' certificates.

use std::time::{Duration, SystemTime};

use gloo_api::ClusterName;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber, string::Ia5String,
};
use sha2::{Digest, Sha256};

use crate::proto::Certificate;

/// A request with a P-384 key and nothing else has some 300 bytes.
pub const CSR_BYTES: usize = 4096;
/// The longest life of a certificate.
pub const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// Clocks of clusters differ; a certificate of this minute must be good everywhere.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error(
        "cannot use relay-tls-signing-secret: its tls.crt and tls.key must be an authority and its key in PEM"
    )]
    Authority { source: rcgen::Error },
    #[error("the certificate request has {length} bytes; {CSR_BYTES} are allowed")]
    Long { length: usize },
    #[error("the certificate request cannot be read, or is not signed by its own key")]
    Request { source: rcgen::Error },
    #[error(
        "the certificate request has a key of a kind that is not accepted; use ECDSA P-256, P-384 or Ed25519"
    )]
    Algorithm,
    #[error("cannot sign a certificate")]
    Sign { source: rcgen::Error },
}

/// Signs for agents.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    authority: String,
    life: Duration,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Signer")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// A request that was read: somebody holds the private key of this public one.
#[derive(Debug)]
pub struct Signed {
    request: CertificateSigningRequestParams,
}

impl Signed {
    /// Checks the request's own signature. Nothing else of it is looked at.
    pub fn read(csr: &[u8]) -> Result<Self, SignerError> {
        if csr.len() > CSR_BYTES {
            let length = csr.len();
            return Err(SignerError::Long { length });
        }
        let request = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|source| SignerError::Request { source })?;
        let accepted = [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ];
        if accepted.contains(&request.public_key.algorithm()) {
            Ok(Self { request })
        } else {
            Err(SignerError::Algorithm)
        }
    }

    /// Of the public key.
    pub fn key_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.request.public_key.der_bytes()).into()
    }
}

impl Signer {
    /// From the PEM of an authority and its key. `life` is cut to [`LONGEST_LIFE`].
    pub fn new(certificate: &str, key: &str, life: Duration) -> Result<Self, SignerError> {
        let key = KeyPair::from_pem(key).map_err(|source| SignerError::Authority { source })?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key)
            .map_err(|source| SignerError::Authority { source })?;
        Ok(Self {
            issuer,
            authority: certificate.to_owned(),
            life: life.min(LONGEST_LIFE),
        })
    }

    /// A client certificate for the key of the request. All else is decided here: subject and names are the cluster, its UID
    /// and its epoch; it is no authority and no server. `serial` is random.
    pub fn client(
        &self,
        cluster: &ClusterName,
        cluster_uid: &str,
        epoch: u64,
        request: &Signed,
        now: SystemTime,
        serial: [u8; 16],
    ) -> Result<Certificate, SignerError> {
        let sign = |source| SignerError::Sign { source };
        let uri = format!("gloonet://{cluster}/{cluster_uid}?epoch={epoch}");
        let mut parameters = CertificateParams::new(vec![cluster.to_string()]).map_err(sign)?;
        parameters
            .subject_alt_names
            .push(SanType::URI(Ia5String::try_from(uri).map_err(sign)?));
        parameters.distinguished_name = DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, cluster.as_str());
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.use_authority_key_identifier_extension = true;
        parameters.serial_number = Some(SerialNumber::from_slice(&serial));
        let (not_before, not_after) = (now - CLOCK_SKEW.min(self.life), now + self.life);
        parameters.not_before = not_before.into();
        parameters.not_after = not_after.into();
        let leaf = parameters
            .signed_by(&request.request.public_key, &self.issuer)
            .map_err(sign)?;
        Ok(Certificate {
            chain: leaf.pem() + &self.authority,
            not_before: seconds(now),
            not_after: seconds(not_after),
        })
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
