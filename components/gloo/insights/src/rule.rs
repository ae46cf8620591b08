//! What a rule is.

use gloo_record::Analyzer;

use crate::{Code, Finding, Query, Scope, Severity, View};

/// One thing that can be wrong, and how it is seen.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub code: Code,
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it matters, in a sentence or two.
    pub why: &'static str,
    /// What is looked at.
    pub evidence: &'static [Evidence],
    /// Whether every cluster is asked, or only the one that manages.
    pub scope: Scope,
    /// What to do: handlebars over `cluster`, `target` and `evidence`.
    pub steps: &'static str,
    /// Pure.
    pub find: fn(&View<'_>) -> Answer,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub enum Evidence {
    Record(Analyzer),
    Metrics(&'static Query),
    /// What the agent told the management server.
    Snapshot,
}

/// What a rule says: what is wrong (nothing: all is well), or why it cannot say.
pub type Answer = Result<Vec<Finding>, Unknown>;

/// The answer of a rule that looks at every node: to have found nothing is no answer while `what` of some was not to be had.
pub(crate) fn all_of<N: AsRef<str>>(what: &str, unread: &[N], found: Vec<Finding>) -> Answer {
    if unread.is_empty() || !found.is_empty() {
        return Ok(found);
    }
    let nodes: Vec<&str> = unread.iter().map(AsRef::as_ref).collect();
    let why = format!("{what} of {} could not be read", nodes.join(", "));
    Err(Unknown {
        nodes: nodes.into_iter().map(str::to_owned).collect(),
        ..Unknown::new(why)
    })
}

/// What a rule needs is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unknown {
    pub why: String,
    /// The nodes it is about; of the others it is known that all is well. Empty: it is about everything.
    pub nodes: Vec<String>,
    /// A query has no sample although what has its series runs.
    pub silent: bool,
}

impl Unknown {
    pub fn new(why: impl AsRef<str>) -> Self {
        Self {
            why: crate::text::clean(why.as_ref()),
            nodes: Vec::new(),
            silent: false,
        }
    }
}
