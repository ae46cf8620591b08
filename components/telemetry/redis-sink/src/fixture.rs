//! Attributes and quotas, for tests.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};

use crate::{quota::Quota, room::Limits};

/// A quota of so many streams, with room for much.
pub(crate) fn quota(streams: u32) -> Quota {
    Quota::new(Limits {
        streams,
        bytes: 1 << 30,
    })
}

pub(crate) fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn pair(key: &str, given: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(given)),
        ..KeyValue::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.to_owned()))
}
