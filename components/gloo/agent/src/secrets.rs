//! The Secrets of the relay, by name.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};

use gloo_api::names;

/// Why a Secret could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read Secret {}/{name}", names::NAMESPACE)]
    Read {
        name: &'static str,
        source: kube::Error,
    },
    #[error("cannot write Secret {}/{name}", names::NAMESPACE)]
    Write {
        name: &'static str,
        source: kube::Error,
    },
    #[error(
        "Secret {}/{name} is missing; the operator makes it empty",
        names::NAMESPACE
    )]
    Missing { name: &'static str },
}

/// Reads and writes Secrets of the management plane's namespace.
#[derive(Clone, Debug)]
pub struct Secrets {
    api: Api<Secret>,
}

impl Secrets {
    pub fn new(client: Client) -> Self {
        Self {
            api: Api::namespaced(client, names::NAMESPACE),
        }
    }

    /// One value as text; `None` when Secret or key is missing or empty.
    pub async fn text(&self, name: &'static str, key: &str) -> Result<Option<String>, SecretError> {
        let secret = self.secret(name).await?;
        Ok(secret.and_then(|secret| text(&secret, key)))
    }

    pub async fn secret(&self, name: &'static str) -> Result<Option<Secret>, SecretError> {
        self.api
            .get_opt(name)
            .await
            .map_err(|source| SecretError::Read { name, source })
    }

    /// Writes the whole of a Secret that exists, if nobody else did since it was read.
    pub async fn replace(
        &self,
        name: &'static str,
        data: BTreeMap<&str, String>,
    ) -> Result<(), SecretError> {
        let mut secret = self
            .secret(name)
            .await?
            .ok_or(SecretError::Missing { name })?;
        let data = data
            .into_iter()
            .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())));
        secret.data = Some(data.collect());
        self.api
            .replace(name, &PostParams::default(), &secret)
            .await
            .map(drop)
            .map_err(|source| SecretError::Write { name, source })
    }
}

/// One value of a Secret as text; an empty one is none.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = String::from_utf8(bytes.clone()).ok()?;
    (!text.trim().is_empty()).then_some(text)
}
