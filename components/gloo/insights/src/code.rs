//! Names of rules, and how bad what they find is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an insight is about. The letters are Gloo's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Group {
    /// Best practice: it works, and would work better.
    Bp,
    /// Configuration that does not fit together.
    Cfg,
    /// Health: something does not work.
    Hlt,
    /// Resources and resilience: something will not work for long.
    Res,
    /// Security.
    Sec,
}

impl Group {
    pub const ALL: [Self; 5] = [Self::Hlt, Self::Cfg, Self::Sec, Self::Res, Self::Bp];

    /// The letters of the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bp => "BP",
            Self::Cfg => "CFG",
            Self::Hlt => "HLT",
            Self::Res => "RES",
            Self::Sec => "SEC",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bp => "Best practice",
            Self::Cfg => "Configuration",
            Self::Hlt => "Health",
            Self::Res => "Resources and resilience",
            Self::Sec => "Security",
        }
    }
}

/// A rule's name: group and number. Gloo's own numbers keep their meaning; ours begin at 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    pub group: Group,
    pub number: u16,
}

impl Code {
    pub const fn new(group: Group, number: u16) -> Self {
        Self { group, number }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{:04}", self.group.as_str(), self.number)
    }
}

/// The text is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no code; one looks like HLT0101")]
pub struct CodeError {
    given: String,
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || CodeError {
            given: text.to_owned(),
        };
        let parsed = Group::ALL.into_iter().find_map(|group| {
            let digits = text.strip_prefix(group.as_str())?;
            let four = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
            Some(Self::new(group, digits.parse().ok().filter(|_| four)?))
        });
        parsed.ok_or_else(wrong)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Will hurt, or does a little.
    Warning,
    /// Hurts.
    Error,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("{text:?} is none of error, warning, info"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_and_what_is_none_is_refused() {
        let code: Code = "HLT0011".parse().unwrap();
        assert_eq!((code.group, code.number), (Group::Hlt, 11));
        assert_eq!(code.to_string(), "HLT0011");
        for wrong in ["HLT11", "hlt0011", "XYZ0001", "HLT+011", "HLT00112", ""] {
            assert!(wrong.parse::<Code>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn severities_are_ordered_by_how_bad_they_are() {
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Info);
        assert_eq!("warning".parse(), Ok(Severity::Warning));
    }
}
