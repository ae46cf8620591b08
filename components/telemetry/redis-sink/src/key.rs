//! Names of streams in Redis.

use std::fmt::{self, Write};

/// Begins every key of ours; `v1` is the format of keys and entries.
const PREFIX: &str = "gloonet:v1:logs";
/// Begins the keys that remember which records are stored.
const SEEN: &str = "gloonet:v1:seen";
/// Longest part, in bytes before escaping. Kubernetes' longest name has 253.
const LONGEST: usize = 253;

/// The key of one stream: `gloonet:v1:logs:<cluster>:<source>[:<part>…]`, each part escaped so that no name can
/// take the place of two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(String);

/// A name that is no part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("attribute {attribute} is missing or no text")]
    Missing { attribute: &'static str },
    #[error("attribute {attribute} has {length} bytes, more than {LONGEST}")]
    Long {
        attribute: &'static str,
        length: usize,
    },
}

impl StreamKey {
    /// `parts` are (attribute, value); the values of the first two must not be empty.
    pub fn new(parts: &[(&'static str, &str)]) -> Result<Self, KeyError> {
        let mut key = PREFIX.to_owned();
        for (at, (attribute, value)) in parts.iter().enumerate() {
            if at < 2 && value.is_empty() {
                return Err(KeyError::Missing { attribute });
            }
            if value.len() > LONGEST {
                return Err(KeyError::Long {
                    attribute,
                    length: value.len(),
                });
            }
            key.push(':');
            escape(value, &mut key);
        }
        Ok(Self(key))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The key that says a record is stored.
pub fn seen(id: &str) -> String {
    format!("{SEEN}:{id}")
}

/// As in a URL's path: letters, digits, `-`, `.` and `_` stay, every other byte becomes `%XX`.
fn escape(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_says_cluster_source_and_analyzer() {
        let key = StreamKey::new(&[
            ("cluster_name", "west"),
            ("source", "analyzer"),
            ("analyzer", "cilium-agents"),
        ]);
        assert_eq!(
            key.unwrap().as_str(),
            "gloonet:v1:logs:west:analyzer:cilium-agents"
        );
    }

    #[test]
    fn a_record_without_cluster_has_no_key() {
        let refused = StreamKey::new(&[("cluster_name", ""), ("source", "analyzer")]);
        assert_eq!(
            refused,
            Err(KeyError::Missing {
                attribute: "cluster_name"
            })
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_with_its_length() {
        let refused = StreamKey::new(&[("cluster_name", &"x".repeat(254)), ("source", "a")]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "attribute cluster_name has 254 bytes, more than 253"
        );
    }

    proptest! {
        #[test]
        fn different_names_have_different_keys(
            one in proptest::array::uniform3("[a:%*\\n\u{e9}]{1,4}"),
            other in proptest::array::uniform3("[a:%*\\n\u{e9}]{1,4}"),
        ) {
            let key = |parts: &[String; 3]| {
                StreamKey::new(&[("a", &parts[0]), ("b", &parts[1]), ("c", &parts[2])]).unwrap()
            };
            prop_assert_eq!(one == other, key(&one) == key(&other));
        }

        #[test]
        fn a_key_is_printable_and_has_no_pattern_in_it(value in ".{1,20}") {
            let key = StreamKey::new(&[("a", &value), ("b", &value)]).unwrap();
            prop_assert!(key.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"*?[]\\".contains(&b)));
        }
    }
}
