//! The name of a cluster.

use std::{fmt, str::FromStr};

/// An RFC 1123 label that starts with a letter. It is in certificates, keys and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

/// Why a text names no cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no name of a cluster: write 1 to 63 lower-case letters, digits and '-', a letter first and no '-' at the end"
)]
pub struct ClusterNameError {
    given: String,
}

/// Characters of a wrong name that are repeated to people.
const QUOTED: usize = 80;

impl ClusterName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(text: &str) -> Result<Self, ClusterNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=63).contains(&text.len())
            && text.bytes().all(plain)
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(ClusterNameError {
                given: text.chars().take(QUOTED).collect(),
            })
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_a_certificate_are_taken() {
        for name in ["a", "west", "eu-west-1", &"a".repeat(63)] {
            assert_eq!(name.parse::<ClusterName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_repeated_without_control_characters() {
        for name in [
            "",
            "1west",
            "West",
            "we_st",
            "west-",
            "we.st",
            &"a".repeat(64),
        ] {
            assert!(name.parse::<ClusterName>().is_err(), "{name}");
        }
        let refusal = "a\u{1b}[31m"
            .parse::<ClusterName>()
            .unwrap_err()
            .to_string();
        assert!(!refusal.contains('\u{1b}'), "{refusal}");
    }
}
