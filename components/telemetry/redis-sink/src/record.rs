//! One log record as the JSON that is stored.

use base64::{Engine, prelude::BASE64_STANDARD};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
};
use serde_json::{Map, Number, Value, json};

/// Largest entry, in bytes.
pub const LARGEST: usize = 256 * 1024;
/// Deepest nesting of a value.
const DEEPEST: usize = 16;

/// A record that is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a value is nested deeper than {DEEPEST} levels")]
    Deep,
    #[error("an entry of {length} bytes is larger than {LARGEST}")]
    Large { length: usize },
}

/// The text of an entry: `time` (Unix nanoseconds, as text: JSON's numbers do not hold them), `severity`, `body`,
/// `attributes`, `resource`. The same record always gives the same text.
pub fn entry(record: &LogRecord, resource: &[KeyValue]) -> Result<String, RecordError> {
    let time = if record.time_unix_nano == 0 {
        record.observed_time_unix_nano
    } else {
        record.time_unix_nano
    };
    let text = json!({
        "time": time.to_string(),
        "severity": record.severity_text,
        "body": record.body.as_ref().map_or(Ok(Value::Null), |body| value(body, 0))?,
        "attributes": fields(&record.attributes, 0)?,
        "resource": fields(resource, 0)?,
    })
    .to_string();
    if text.len() > LARGEST {
        return Err(RecordError::Large { length: text.len() });
    }
    Ok(text)
}

/// The attribute's text; `None` when it is absent or of another type.
pub fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

fn fields(attributes: &[KeyValue], depth: usize) -> Result<Value, RecordError> {
    let mut map = Map::new();
    for one in attributes {
        let given = match &one.value {
            Some(given) => value(given, depth + 1)?,
            None => Value::Null,
        };
        map.insert(one.key.clone(), given);
    }
    Ok(Value::Object(map))
}

fn value(given: &AnyValue, depth: usize) -> Result<Value, RecordError> {
    if depth > DEEPEST {
        return Err(RecordError::Deep);
    }
    Ok(match &given.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::IntValue(number)) => json!(number),
        // JSON has no infinity; the word says what it was.
        Some(Any::DoubleValue(number)) => {
            Number::from_f64(*number).map_or_else(|| json!(number.to_string()), Value::Number)
        }
        Some(Any::ArrayValue(array)) => Value::Array(
            array
                .values
                .iter()
                .map(|one| value(one, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Some(Any::KvlistValue(list)) => fields(&list.values, depth)?,
        Some(Any::BytesValue(bytes)) => json!(BASE64_STANDARD.encode(bytes)),
        // Nothing, or an index into a table that log records do not carry.
        None | Some(_) => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;

    fn any(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(key: &str, given: Any) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(any(given)),
            ..KeyValue::default()
        }
    }

    #[test]
    fn every_type_of_value_is_kept_as_json_has_it() {
        let record = LogRecord {
            time_unix_nano: 1_800_000_000_000_000_001,
            severity_text: "INFO".to_owned(),
            body: Some(any(Any::KvlistValue(KeyValueList {
                values: vec![
                    pair("n", Any::IntValue(3)),
                    pair("inf", Any::DoubleValue(f64::INFINITY)),
                    pair("raw", Any::BytesValue(vec![1, 2])),
                    pair(
                        "list",
                        Any::ArrayValue(ArrayValue {
                            values: vec![any(Any::BoolValue(true))],
                        }),
                    ),
                ],
            }))),
            ..LogRecord::default()
        };
        let stored = entry(
            &record,
            &[pair("source", Any::StringValue("analyzer".into()))],
        )
        .unwrap();
        let read: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(read["time"], "1800000000000000001");
        assert_eq!(
            read["body"],
            json!({"n": 3, "inf": "inf", "raw": "AQI=", "list": [true]})
        );
        assert_eq!(read["resource"]["source"], "analyzer");
    }

    #[test]
    fn a_value_without_end_is_refused() {
        let mut nested = any(Any::BoolValue(true));
        for _ in 0..40 {
            nested = any(Any::ArrayValue(ArrayValue {
                values: vec![nested],
            }));
        }
        let record = LogRecord {
            body: Some(nested),
            ..LogRecord::default()
        };
        assert_eq!(entry(&record, &[]), Err(RecordError::Deep));
    }

    #[test]
    fn a_huge_body_is_refused_with_its_size() {
        let record = LogRecord {
            body: Some(any(Any::StringValue("x".repeat(LARGEST)))),
            ..LogRecord::default()
        };
        assert!(matches!(
            entry(&record, &[]),
            Err(RecordError::Large { length }) if length > LARGEST
        ));
    }

    #[test]
    fn an_attribute_of_another_type_is_no_text() {
        let attributes = [pair("source", Any::IntValue(7))];
        assert_eq!(text(&attributes, "source"), None);
    }
}
