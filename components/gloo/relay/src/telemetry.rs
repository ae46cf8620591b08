//! What a cluster's collectors show the telemetry gateway: a token that says whose they are.
//!
//! The gateway (upstream's collector with `oidcauth`) knows the public key and writes the token's subject over whatever name the
//! telemetry gives itself. The cluster is taken from the certificate of who asks.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gloo_api::{ClusterName, names};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::proto::TelemetryCredential;

/// How long a token is good.
pub const LIFE: Duration = Duration::from_hours(24);
/// Clocks of clusters differ; a token of this minute must be good at the gateway.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("the key in Secret {} cannot be used", names::TELEMETRY_KEY)]
    Key { source: jsonwebtoken::errors::Error },
    #[error("a token cannot be signed")]
    Sign { source: jsonwebtoken::errors::Error },
}

/// Signs tokens. Key and authority are read anew for each, so that none is of a Secret that was replaced.
#[derive(Clone, Debug)]
pub struct TelemetrySigner {
    /// Ed25519, PKCS#8 in PEM.
    pub key: PathBuf,
    /// The gateway's authority, in PEM.
    pub authority: PathBuf,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    aud: &'static str,
    sub: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl TelemetrySigner {
    /// A token for a cluster.
    pub fn sign(
        &self,
        cluster: &ClusterName,
        now: SystemTime,
    ) -> Result<TelemetryCredential, TelemetryError> {
        let key = read(&self.key)?;
        let key = EncodingKey::from_ed_pem(key.as_bytes());
        let key = key.map_err(|source| TelemetryError::Key { source })?;
        let (begin, end) = (seconds(now - CLOCK_SKEW), seconds(now + LIFE));
        let claims = Claims {
            iss: names::TELEMETRY_ISSUER,
            aud: names::TELEMETRY_AUDIENCE,
            sub: cluster.as_str(),
            iat: begin,
            nbf: begin,
            exp: end,
        };
        let token = encode(&Header::new(Algorithm::EdDSA), &claims, &key);
        Ok(TelemetryCredential {
            token: token.map_err(|source| TelemetryError::Sign { source })?,
            authority: read(&self.authority)?,
            not_before: i64::try_from(seconds(now)).unwrap_or(i64::MAX),
            not_after: i64::try_from(end).unwrap_or(i64::MAX),
        })
    }
}

fn read(path: &Path) -> Result<String, TelemetryError> {
    fs::read_to_string(path).map_err(|source| TelemetryError::File {
        path: path.to_owned(),
        source,
    })
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};

    use super::*;

    #[test]
    fn a_token_says_whose_it_is_to_who_knows_the_key_and_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let signer = TelemetrySigner {
            key: folder.path().join("key.pem"),
            authority: folder.path().join("ca.crt"),
        };
        fs::write(&signer.key, pair.serialize_pem()).unwrap();
        fs::write(&signer.authority, "authority").unwrap();
        let given = signer
            .sign(&"west".parse().unwrap(), SystemTime::now())
            .unwrap();
        assert_eq!(given.authority, "authority");
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[names::TELEMETRY_AUDIENCE]);
        rules.set_issuer(&[names::TELEMETRY_ISSUER]);
        let known = DecodingKey::from_ed_der(pair.der_bytes());
        let read = decode::<serde_json::Value>(&given.token, &known, &rules).unwrap();
        assert_eq!(read.claims["sub"], "west");
        let other = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let unknown = DecodingKey::from_ed_der(other.der_bytes());
        assert!(decode::<serde_json::Value>(&given.token, &unknown, &rules).is_err());
    }

    #[test]
    fn without_a_key_the_file_is_named() {
        let nowhere = PathBuf::from("/nowhere/key.pem");
        let signer = TelemetrySigner {
            key: nowhere.clone(),
            authority: nowhere,
        };
        let error = signer.sign(&"west".parse().unwrap(), SystemTime::now());
        assert_eq!(
            error.unwrap_err().to_string(),
            "cannot read /nowhere/key.pem"
        );
    }
}
