//! The release lock: every image by version and digest, and which component versions may follow which.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{ComponentId, ImageName};

/// The lock this build of the operator carries.
const EMBEDDED: &str = include_str!("../../../release.lock");
const FORMAT: u32 = 1;
/// The digest of an image that no registry could be asked about.
const UNRESOLVED: &str = "unresolved";

/// A parsed release lock: complete, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseLock {
    format: u32,
    /// The release, and the only value `spec.version` may have.
    pub version: String,
    #[serde(rename = "image")]
    pub images: Vec<ImageEntry>,
    #[serde(rename = "component")]
    pub components: Vec<ComponentEntry>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEntry {
    pub name: String,
    /// Registry and path, without tag or digest.
    pub reference: String,
    /// The tag.
    pub version: String,
    /// `sha256:<64 hex digits>` or `unresolved`.
    pub digest: String,
}

/// One component and the versions an upgrade to it may start at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentEntry {
    pub name: String,
    pub version: String,
    pub supported_from: Vec<String>,
}

/// Why a release lock is refused.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the release lock is not valid TOML of the expected shape")]
    Parse(#[source] Box<toml::de::Error>),
    #[error("the release lock has format {found}; this build reads format {FORMAT}")]
    Format { found: u32 },
    #[error("the release lock names {kind} {name:?} twice")]
    Duplicate { kind: &'static str, name: String },
    #[error("the release lock has no {kind} {name:?}")]
    Missing {
        kind: &'static str,
        name: &'static str,
    },
    #[error("the release lock has an unknown {kind} {name:?}")]
    Unknown { kind: &'static str, name: String },
    #[error(
        "image {name:?} has digest {digest:?}; write sha256:<64 hex digits>, or {UNRESOLVED:?}"
    )]
    Digest { name: String, digest: String },
    #[error(
        "image {name:?} has reference {reference:?}; write registry/path without tag or digest"
    )]
    Reference { name: String, reference: String },
    #[error("version {wanted:?} is not in the release lock; there is {available}")]
    UnknownVersion { wanted: String, available: String },
}

impl ReleaseLock {
    /// The lock that was built into this program.
    pub fn embedded() -> Result<Self, LockError> {
        Self::parse(EMBEDDED)
    }

    /// Reads and checks a lock: each image and component of the catalog exactly once, nothing else.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let lock: Self = toml::from_str(text).map_err(|error| LockError::Parse(Box::new(error)))?;
        if lock.format != FORMAT {
            return Err(LockError::Format { found: lock.format });
        }
        let images = ImageName::ALL.map(ImageName::as_str);
        exactly(
            "image",
            &images,
            lock.images.iter().map(|image| image.name.as_str()),
        )?;
        let components = ComponentId::ALL.map(ComponentId::as_str);
        exactly(
            "component",
            &components,
            lock.components
                .iter()
                .map(|component| component.name.as_str()),
        )?;
        lock.images.iter().try_for_each(ImageEntry::check)?;
        Ok(lock)
    }

    /// Refuses a version that this lock does not describe, naming the one it does.
    pub fn require_version(&self, wanted: &str) -> Result<(), LockError> {
        if wanted == self.version {
            return Ok(());
        }
        Err(LockError::UnknownVersion {
            wanted: wanted.to_owned(),
            available: self.version.clone(),
        })
    }

    /// Names of the images whose digest is unresolved; a release must have none.
    pub fn unresolved(&self) -> Vec<&str> {
        self.images
            .iter()
            .filter(|image| image.digest().is_none())
            .map(|image| image.name.as_str())
            .collect()
    }

    /// Version of one component.
    pub fn component_version(&self, id: ComponentId) -> Option<&str> {
        self.components
            .iter()
            .find(|entry| entry.name == id.as_str())
            .map(|entry| entry.version.as_str())
    }
}

impl ImageEntry {
    /// The digest when it is known.
    pub fn digest(&self) -> Option<&str> {
        (self.digest != UNRESOLVED).then_some(self.digest.as_str())
    }

    fn check(&self) -> Result<(), LockError> {
        if let Some(digest) = self.digest() {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            if hex.len() != 64
                || !hex
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            {
                return Err(LockError::Digest {
                    name: self.name.clone(),
                    digest: digest.to_owned(),
                });
            }
        }
        let bare = self
            .reference
            .split_once('/')
            .is_some_and(|(_, path)| !path.contains([':', '@']));
        if !bare {
            return Err(LockError::Reference {
                name: self.name.clone(),
                reference: self.reference.clone(),
            });
        }
        Ok(())
    }
}

fn exactly<'a>(
    kind: &'static str,
    wanted: &[&'static str],
    given: impl Iterator<Item = &'a str>,
) -> Result<(), LockError> {
    let mut seen = BTreeSet::new();
    for name in given {
        if !wanted.contains(&name) {
            return Err(LockError::Unknown {
                kind,
                name: name.to_owned(),
            });
        }
        if !seen.insert(name) {
            return Err(LockError::Duplicate {
                kind,
                name: name.to_owned(),
            });
        }
    }
    match wanted.iter().find(|name| !seen.contains(*name)) {
        Some(name) => Err(LockError::Missing { kind, name }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
