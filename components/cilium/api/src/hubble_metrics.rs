//! Which metrics Hubble counts, and by what: entries of the operator's `hubble.metrics`, which agents read as key `hubble-metrics`.
//!
//! Source: Cilium 1.20 `Documentation/observability/metrics.rst`. An entry is `name:option;option`, an option a word or `word=value`.
//! What this release cannot count is refused by name: a series that never grows would say that there was no such traffic.

mod error;
mod parse;
mod words;

use std::fmt;

pub use error::HubbleMetricError;
pub use words::{Context, ContextLabel, End, Flag, MetricName, Part};

/// One metric and the labels it has beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubbleMetric {
    pub name: MetricName,
    /// Only such as the metric has.
    pub flags: Vec<Flag>,
    /// Label `source`.
    pub source: Contexts,
    /// Label `destination`.
    pub destination: Contexts,
    /// Option `labelsContext`.
    pub labels: Vec<ContextLabel>,
}

/// What the label `source` or `destination` says: the first of these that is not empty. Without any there is no such label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contexts {
    pub any: Vec<Context>,
    /// Instead of `any`, for the traffic that an endpoint of the node began.
    pub egress: Vec<Context>,
    /// Instead of `any`, for the traffic that was begun towards one.
    pub ingress: Vec<Context>,
}

impl HubbleMetric {
    /// Without options.
    pub fn plain(name: MetricName) -> Self {
        Self {
            name,
            flags: Vec::new(),
            source: Contexts::default(),
            destination: Contexts::default(),
            labels: Vec::new(),
        }
    }

    /// All entries, of which no two are of one metric.
    pub fn list<'a>(
        entries: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, HubbleMetricError> {
        let mut all: Vec<Self> = Vec::new();
        for entry in entries {
            let metric: Self = entry.parse()?;
            if all.iter().any(|other| other.name == metric.name) {
                return Err(HubbleMetricError::Again(metric.name.word()));
            }
            all.push(metric);
        }
        Ok(all)
    }

    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

impl Contexts {
    /// Whether there is such a label.
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.egress.is_empty() && self.ingress.is_empty()
    }
}

/// As it is parsed.
impl fmt::Display for HubbleMetric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options: Vec<String> = self
            .flags
            .iter()
            .map(|flag| flag.word().to_owned())
            .collect();
        for (end, contexts) in [("source", &self.source), ("destination", &self.destination)] {
            let lists = [
                ("", &contexts.any),
                ("Egress", &contexts.egress),
                ("Ingress", &contexts.ingress),
            ];
            for (way, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                let words: Vec<&str> = list.iter().map(|context| context.word()).collect();
                options.push(format!("{end}{way}Context={}", words.join("|")));
            }
        }
        if !self.labels.is_empty() {
            let names: Vec<&str> = self.labels.iter().map(|label| label.word()).collect();
            options.push(format!("labelsContext={}", names.join(",")));
        }
        out.write_str(self.name.word())?;
        if options.is_empty() {
            return Ok(());
        }
        write!(out, ":{}", options.join(";"))
    }
}

#[cfg(test)]
mod tests;
