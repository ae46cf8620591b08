//! What may be remembered of a Secret: its keys and its certificate's dates. Never a value.

use std::collections::BTreeSet;

use gloonet_api::{MANAGED_BY, MANAGED_BY_LABEL};
use gloonet_plan::Fingerprint;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::enrolment::EXPIRES;

/// A Secret without its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretView {
    /// UID.
    pub uid: String,
    /// Changes with every write.
    pub resource_version: String,
    /// It carries our label.
    pub ours: bool,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Keys with a value that is not empty.
    pub keys: BTreeSet<String>,
    /// Of `tls.crt`, when that is a certificate.
    pub certificate: Option<Certificate>,
    /// Of the text in `ca.crt`.
    pub authority: Option<Fingerprint>,
    /// Of the token in it, as its annotation says.
    pub expires: Option<Timestamp>,
}

/// Dates and identity of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Start of its life.
    pub not_before: Timestamp,
    /// End of its life.
    pub not_after: Timestamp,
    /// Of its text.
    pub text: Fingerprint,
}

impl Certificate {
    /// Less than a third of its life is left.
    pub fn runs_out(&self, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        self.not_after.duration_since(now) < life / 3
    }
}

pub(super) fn view(secret: Secret) -> SecretView {
    let data = secret.data.unwrap_or_default();
    let text = |key: &str| {
        data.get(key)
            .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
    };
    let labels = secret.metadata.labels.unwrap_or_default();
    let annotations = secret.metadata.annotations.unwrap_or_default();
    SecretView {
        uid: secret.metadata.uid.unwrap_or_default(),
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        ours: labels
            .get(MANAGED_BY_LABEL)
            .is_some_and(|value| value == MANAGED_BY),
        deleting: secret.metadata.deletion_timestamp.is_some(),
        keys: data
            .iter()
            .filter(|(_, bytes)| !bytes.0.is_empty())
            .map(|(key, _)| key.clone())
            .collect(),
        certificate: text("tls.crt").and_then(|pem| certificate(&pem)),
        authority: text("ca.crt").map(|pem| of_text(&pem)),
        expires: annotations.get(EXPIRES).and_then(|text| text.parse().ok()),
    }
}

/// Tells two PEM texts apart.
pub(crate) fn of_text(text: &str) -> Fingerprint {
    Fingerprint::of(&json!(text.trim()))
}

fn certificate(pem: &str) -> Option<Certificate> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let parsed = block.parse_x509().ok()?;
    let validity = parsed.validity();
    Some(Certificate {
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        text: of_text(pem),
    })
}
