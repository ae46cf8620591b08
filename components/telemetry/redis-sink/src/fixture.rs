//! Attributes, for tests.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};

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
