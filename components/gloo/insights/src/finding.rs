//! What a rule found, and where.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::text::clean;

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// `Cluster`, or a kind of Kubernetes', or what people call it.
    pub kind: String,
    /// Empty for what is in no namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Empty for the cluster itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Target {
    pub fn cluster() -> Self {
        Self::new("Cluster", "", "")
    }

    pub fn node(name: &str) -> Self {
        Self::new("Node", "", name)
    }

    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: clean(kind),
            namespace: clean(namespace),
            name: clean(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.kind)?;
        for part in [&self.namespace, &self.name] {
            if !part.is_empty() {
                write!(out, "/{part}")?;
            }
        }
        Ok(())
    }
}

/// One thing a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub target: Target,
    /// What it is, with numbers, in one sentence.
    pub summary: String,
    /// What was seen, by name; each can be looked up where it comes from.
    pub evidence: BTreeMap<String, String>,
    /// Where it is, when that is another cluster than the one looked at.
    pub cluster: Option<String>,
}

impl Finding {
    pub fn new(target: Target, summary: impl AsRef<str>) -> Self {
        Self {
            target,
            summary: clean(summary.as_ref()),
            evidence: BTreeMap::new(),
            cluster: None,
        }
    }

    /// Adds what was seen.
    #[must_use]
    pub fn because(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.evidence
            .insert(name.to_owned(), clean(&value.to_string()));
        self
    }

    /// It is in another cluster than the one looked at.
    #[must_use]
    pub fn in_cluster(mut self, name: &str) -> Self {
        self.cluster = Some(clean(name));
        self
    }
}
