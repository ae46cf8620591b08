//! What is kept of which source, and for how long.

use std::time::Duration;

/// Resource attribute with the cluster's name. The gateway sets it: from its configuration for its own cluster, from the token for another one.
pub const CLUSTER: &str = "cluster_name";
/// Resource attribute that says what kind of record it is.
pub const SOURCE: &str = "source";
/// Attribute with the name of the analyzer.
pub const ANALYZER: &str = "analyzer";

/// Attribute with the number of a part of an analyzer's report.
pub const PART: &str = "part";

/// Rules for the streams of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Attributes besides cluster and source that tell streams apart, in the order of the key. An absent one is an empty part.
    pub parts: &'static [&'static str],
    /// Entries kept.
    pub entries: u32,
    /// Redis may keep a few more entries where exactness costs much.
    pub about: bool,
    /// A stream that nobody wrote to for this long is gone.
    pub time: Duration,
    /// Whether a record that is sent again is stored once. Redis remembers each for a while, which for many small ones takes more than
    /// they do.
    pub once: bool,
}

const HALF_AN_HOUR: Duration = Duration::from_mins(30);

/// The state of something: only the last one counts.
const LAST_VALUE: Retention = Retention {
    parts: &[ANALYZER],
    entries: 1,
    about: false,
    time: HALF_AN_HOUR,
    once: true,
};

/// What an analyzer reports, in numbered parts. The run before is kept while the newest is on its way, and the newest for as long as an
/// insight may rest on it: three of the longest intervals, which are twice `gloo.analyzer.intervalSeconds`.
const REPORTS: Retention = Retention {
    parts: &[ANALYZER, PART],
    entries: 2,
    about: false,
    time: Duration::from_hours(6),
    once: true,
};

/// Log lines of components.
const LINES: Retention = Retention {
    parts: &["component", "k8s.pod.name", "k8s.container.name"],
    entries: 1000,
    about: true,
    time: HALF_AN_HOUR,
    once: true,
};

/// Flows Hubble saw. They come by the thousand, from every node of every cluster; one that is there twice has one `uuid`.
const FLOWS: Retention = Retention {
    parts: &["k8s.node.name"],
    entries: 2000,
    about: true,
    time: HALF_AN_HOUR,
    once: false,
};

impl Retention {
    /// The rules for a source. One that is not known is treated as state, which costs the least.
    pub fn of(source: &str) -> Self {
        match source {
            "analyzer" => REPORTS,
            "ui" => LINES,
            "cilium_flows" => FLOWS,
            _ => LAST_VALUE,
        }
    }
}
