//! An object as the watch saw it: decoded, or with the reason why it could not be.
//!
//! One object this release cannot read must not end the watch of all others (security.md D9).

use std::borrow::Cow;

use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

/// An object that may be unreadable beyond its metadata.
#[derive(Clone, Debug)]
pub struct Seen<K> {
    /// Always readable.
    pub metadata: ObjectMeta,
    /// The object, or what is wrong with it.
    pub body: Result<K, Unreadable>,
}

/// An object that could not be decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// What the decoder says.
    pub error: String,
    /// The object as it came.
    pub raw: Value,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Seen<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let metadata = ObjectMeta::deserialize(&raw["metadata"]).map_err(D::Error::custom)?;
        let body = K::deserialize(&raw).map_err(|error| error.to_string());
        Ok(Self {
            metadata,
            body: body.map_err(|error| Unreadable { error, raw }),
        })
    }
}

impl<K: Resource> Resource for Seen<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use cilium_api::CiliumNode;

    use super::*;

    #[test]
    fn an_object_that_cannot_be_decoded_keeps_its_metadata_and_its_raw_form() {
        let raw = serde_json::json!({"metadata": {"name": "worker-1"}, "spec": {"addresses": 7}});
        let seen: Seen<CiliumNode> = serde_json::from_value(raw.clone()).unwrap();
        assert_eq!(seen.metadata.name.as_deref(), Some("worker-1"));
        assert_eq!(seen.body.unwrap_err().raw, raw);
    }

    #[test]
    fn an_object_that_can_be_decoded_is() {
        let raw = serde_json::json!({"metadata": {"name": "worker-1"}, "spec": {}});
        let seen: Seen<CiliumNode> = serde_json::from_value(raw).unwrap();
        assert_eq!(
            seen.body.unwrap().metadata.name.as_deref(),
            Some("worker-1")
        );
    }
}
