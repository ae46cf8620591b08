//! What is wrong with an entry, and its cure.

use super::words::{Context, ContextLabel, Flag, MetricName};

/// Names the entry's part that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubbleMetricError {
    #[error("{0:?} has a space in it; separate options by ; and write no spaces")]
    Space(String),
    #[error("there is no metric {0:?}; there are {known}", known = list(MetricName::ALL.map(MetricName::word)))]
    Name(String),
    #[error(
        "metric {0} counts what is inside of connections, and this release looks at layers 3 and 4 only; leave it out"
    )]
    Layer7(String),
    #[error("metric {0} is there twice; write all its options into one entry")]
    Again(&'static str),
    #[error("metric {metric} has no option {option:?}; there are {known}", known = options(*.metric))]
    Option { metric: MetricName, option: String },
    #[error("option {option} of metric {metric} is there twice; leave one of them")]
    OptionAgain { metric: MetricName, option: String },
    #[error("option {option} of metric {metric} takes no value; write the word alone")]
    Value { metric: MetricName, option: String },
    #[error("{value:?} in option {option} of metric {metric} is no context; there are {known}, and | between two means the first that is not empty", known = list(Context::ALL.map(Context::word)))]
    Context {
        metric: MetricName,
        option: String,
        value: String,
    },
    #[error(
        "context dns in option {option} of metric {metric} would always be empty: names of addresses are not learned here; leave it out, or write ip"
    )]
    Dns { metric: MetricName, option: String },
    #[error("{value:?} in option labelsContext of metric {metric} is no label; there are {known}", known = list(ContextLabel::ALL.map(ContextLabel::word)))]
    Label { metric: MetricName, value: String },
}

impl std::fmt::Display for MetricName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.word())
    }
}

/// Options with values, of every metric.
pub(super) const OPTIONS: [&str; 7] = [
    "sourceContext",
    "sourceEgressContext",
    "sourceIngressContext",
    "destinationContext",
    "destinationEgressContext",
    "destinationIngressContext",
    "labelsContext",
];

fn options(metric: MetricName) -> String {
    let flags = metric.flags().iter().copied().map(Flag::word);
    list(flags.chain(OPTIONS))
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    words.join(", ")
}
