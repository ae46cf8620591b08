//! What an object is called, in any cluster.

use std::{fmt, sync::Arc};

use crate::proto;

/// Longest name Kubernetes gives anything (RFC 1123 subdomain).
const LONGEST: usize = 253;

/// An object's key. Cheap to clone; orders by API version, kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    api_version: Box<str>,
    kind: Box<str>,
    namespace: Box<str>,
    name: Box<str>,
}

/// Why four texts are no key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("an object's {part} is empty")]
    Empty { part: &'static str },
    #[error("an object's {part} has {length} bytes; {LONGEST} are allowed")]
    Long { part: &'static str, length: usize },
    #[error("an object's {part} has a character no Kubernetes name has")]
    Character { part: &'static str },
    #[error("an object has no key")]
    Missing,
}

impl ObjectKey {
    /// `namespace` is empty for objects of the whole cluster.
    pub fn new(
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Self, KeyError> {
        check("apiVersion", api_version, |byte| byte == b'/')?;
        check("kind", kind, |_| false)?;
        if !namespace.is_empty() {
            check("namespace", namespace, |_| false)?;
        }
        // Names of RBAC objects have colons.
        check("name", name, |byte| byte == b':')?;
        Ok(Self(Arc::new(Parts {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        })))
    }

    pub fn api_version(&self) -> &str {
        &self.0.api_version
    }

    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The bytes digests are made of. No part holds a zero byte, so that no two keys share them.
    pub(crate) fn parts(&self) -> [&[u8]; 4] {
        [
            self.0.api_version.as_bytes(),
            self.0.kind.as_bytes(),
            self.0.namespace.as_bytes(),
            self.0.name.as_bytes(),
        ]
    }
}

/// Letters, digits, `-`, `.`, `_` and what `also` allows.
fn check(part: &'static str, text: &str, also: impl Fn(u8) -> bool) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty { part });
    }
    if text.len() > LONGEST {
        let length = text.len();
        return Err(KeyError::Long { part, length });
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || also(byte);
    if text.bytes().all(plain) {
        Ok(())
    } else {
        Err(KeyError::Character { part })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} ", self.api_version(), self.kind())?;
        if !self.namespace().is_empty() {
            write!(out, "{}/", self.namespace())?;
        }
        out.write_str(self.name())
    }
}

impl TryFrom<proto::Key> for ObjectKey {
    type Error = KeyError;

    fn try_from(key: proto::Key) -> Result<Self, KeyError> {
        Self::new(&key.api_version, &key.kind, &key.namespace, &key.name)
    }
}

impl From<&ObjectKey> for proto::Key {
    fn from(key: &ObjectKey) -> Self {
        Self {
            api_version: key.api_version().to_owned(),
            kind: key.kind().to_owned(),
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_kubectl_would_say_it() {
        let pod = ObjectKey::new("apps/v1", "Deployment", "shop", "web").unwrap();
        assert_eq!(pod.to_string(), "apps/v1 Deployment shop/web");
        let node = ObjectKey::new("v1", "Node", "", "worker-1").unwrap();
        assert_eq!(node.to_string(), "v1 Node worker-1");
    }

    #[test]
    fn texts_that_could_leave_their_place_in_a_path_are_refused() {
        for name in ["", "a/b", "a b", "a\n", "\u{e9}", &"x".repeat(254), "a%2f"] {
            assert!(ObjectKey::new("v1", "Pod", "shop", name).is_err(), "{name}");
        }
        assert!(ObjectKey::new("v1", "Pod", "a/b", "name").is_err());
        assert!(ObjectKey::new("v1", "ClusterRole", "", "system:node").is_ok());
    }
}
