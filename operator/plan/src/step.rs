//! What can be done, and why.

use std::fmt;

use gloonet_catalog::{ComponentId, SecretSpec};

use crate::{DesiredObject, Fingerprint, ObjectKey};

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Make a Secret, add its missing keys, or renew its certificate.
    EnsureSecret {
        /// Whose.
        component: ComponentId,
        /// What it must hold.
        spec: SecretSpec,
        /// Why.
        reason: Reason,
    },
    /// Server-side apply.
    Apply {
        /// Whose.
        component: ComponentId,
        /// What.
        object: Box<DesiredObject>,
        /// Why.
        reason: Reason,
    },
    /// Delete, if the object still has this UID.
    Delete {
        /// Name of the component, which this release may not know any more.
        component: String,
        /// What.
        key: ObjectKey,
        /// Precondition.
        uid: String,
        /// Why.
        reason: Reason,
    },
    /// Take an entry out of the inventory; the object is gone, is not ours, or is kept.
    Forget {
        /// What.
        key: ObjectKey,
        /// Why.
        reason: Reason,
    },
    /// Let the `GlooNetwork` go: the last step of an uninstall.
    Release,
}

/// Why a step is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is not there yet.
    New,
    /// What it shall be has changed.
    Changed,
    /// Somebody else changed or touched it.
    Drift,
    /// Somebody else deleted it.
    Deleted,
    /// It lacks a part.
    Incomplete,
    /// Its certificate runs out.
    Expiring,
    /// Nobody wants it any more.
    Unwanted,
    /// It is gone.
    Gone,
    /// It has another UID than the one that was made.
    NotOurs,
    /// It stays, because it may hold what is not ours.
    Kept,
    /// Waited long enough.
    TimedOut,
}

impl Reason {
    /// In a word or two.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Drift => "was changed by somebody else",
            Self::Deleted => "was deleted",
            Self::Incomplete => "incomplete",
            Self::Expiring => "certificate runs out",
            Self::Unwanted => "not wanted any more",
            Self::Gone => "gone",
            Self::NotOurs => "not made by the operator",
            Self::Kept => "stays",
            Self::TimedOut => "waited long enough",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureSecret { spec, reason, .. } => {
                write!(
                    out,
                    "make Secret {}/{} ({reason})",
                    spec.namespace, spec.name
                )
            }
            Self::Apply { object, reason, .. } => write!(out, "apply {} ({reason})", object.key),
            Self::Delete { key, reason, .. } => write!(out, "delete {key} ({reason})"),
            Self::Forget { key, reason } => write!(out, "forget {key} ({reason})"),
            Self::Release => out.write_str("release GlooNetwork default"),
        }
    }
}

impl Step {
    /// The object it is about.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Self::EnsureSecret { spec, .. } => Some(ObjectKey::secret(&spec.namespace, &spec.name)),
            Self::Apply { object, .. } => Some(object.key.clone()),
            Self::Delete { key, .. } | Self::Forget { key, .. } => Some(key.clone()),
            Self::Release => None,
        }
    }

    /// Name of the component the step is for.
    pub fn component(&self) -> Option<&str> {
        match self {
            Self::EnsureSecret { component, .. } | Self::Apply { component, .. } => {
                Some(component.as_str())
            }
            Self::Delete { component, .. } => Some(component),
            Self::Forget { .. } | Self::Release => None,
        }
    }

    /// True when the step writes something that others see.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Forget { .. })
    }
}

/// The name of a plan: what was read can be approved, and only that.
pub fn hash_lines(lines: &[String]) -> String {
    let lines = lines
        .iter()
        .map(|line| serde_json::Value::String(line.clone()))
        .collect();
    let mut text = Fingerprint::of(&serde_json::Value::Array(lines)).to_string();
    text.truncate(12);
    text
}
