use std::fmt;

/// What of a policy is not followed, where it is, and why. The policy fails closed there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Path into the object: `spec.ingress[0].toPorts[0].rules`.
    pub path: String,
    /// Why, and what to do.
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
