//! What Prometheus is asked.

use std::collections::BTreeMap;

use crate::catalog;
use crate::rule::Evidence;

/// Whom something is asked of, or about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every cluster: answers have the label `cluster_name`.
    Cluster,
    /// The cluster that manages.
    Home,
}

/// Who has the series a query is made of. It has them as long as it runs, so where it runs an answer without a sample means that
/// nobody measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Parts of the cluster that manages without which there is no engine.
    Management,
    /// Agents of Cilium. A cluster may have none, and then nothing is wrong with them.
    CiliumAgents,
    /// Collectors. Whatever an analyzer reports came through them.
    Collectors,
}

impl Source {
    /// Whom the query is about.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Management => Scope::Home,
            Self::CiliumAgents | Self::Collectors => Scope::Cluster,
        }
    }

    /// As it is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Management => "the parts that manage",
            Self::CiliumAgents => "Cilium's agents",
            Self::Collectors => "collectors",
        }
    }
}

/// One instant query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// As the engine's metrics and errors call it.
    pub name: &'static str,
    pub text: &'static str,
    pub source: Source,
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    /// A label's value; empty when it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// What Prometheus answered, by the query's name; an error says why there is no answer.
pub type Answers = BTreeMap<&'static str, Result<Vec<Sample>, String>>;

/// Every query of the catalog, once.
pub fn queries() -> Vec<&'static Query> {
    let mut all: Vec<&Query> = Vec::new();
    for rule in catalog() {
        for evidence in rule.evidence {
            if let Evidence::Metrics(query) = evidence
                && !all.iter().any(|known| known.name == query.name)
            {
                all.push(query);
            }
        }
    }
    all
}
