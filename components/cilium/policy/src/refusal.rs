//! A part of a policy that is not followed, in a sentence.

use std::fmt;

/// What is not followed, where it is, and why. The policy fails closed there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Path into the object: `spec.ingress[0].toPorts[0].rules`.
    pub path: String,
    /// Why, and what happens instead.
    pub reason: String,
}

impl Refusal {
    /// A refusal of what is at `path`.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}
