//! Reads an entry.

use std::str::FromStr;

use super::error::OPTIONS;
use super::words::{Context, ContextLabel, MetricName};
use super::{HubbleMetric, HubbleMetricError};

/// Upstream's metrics that need a look into connections.
const LAYER_7: [&str; 4] = ["dns", "http", "httpv2", "kafka"];

impl FromStr for HubbleMetric {
    type Err = HubbleMetricError;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        // A space is what separates entries on their way to the agents.
        if entry.contains(char::is_whitespace) {
            return Err(HubbleMetricError::Space(entry.to_owned()));
        }
        let (name, options) = entry.split_once(':').unwrap_or((entry, ""));
        let mut metric = Self::plain(metric_name(name)?);
        let mut given = Vec::new();
        for option in options.split(';').filter(|option| !option.is_empty()) {
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (option, None),
            };
            let lower = key.to_ascii_lowercase();
            if given.contains(&lower) {
                return Err(HubbleMetricError::OptionAgain {
                    metric: metric.name,
                    option: key.to_owned(),
                });
            }
            given.push(lower);
            metric.take(key, value)?;
        }
        Ok(metric)
    }
}

impl HubbleMetric {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), HubbleMetricError> {
        let metric = self.name;
        let flags = metric.flags().iter();
        if let Some(flag) = flags
            .copied()
            .find(|flag| flag.word().eq_ignore_ascii_case(key))
        {
            if value.is_some() {
                let option = key.to_owned();
                return Err(HubbleMetricError::Value { metric, option });
            }
            self.flags.push(flag);
            return Ok(());
        }
        let known = OPTIONS
            .into_iter()
            .find(|word| word.eq_ignore_ascii_case(key));
        let option = known.unwrap_or_default();
        let list = match option {
            "sourceContext" => &mut self.source.any,
            "sourceEgressContext" => &mut self.source.egress,
            "sourceIngressContext" => &mut self.source.ingress,
            "destinationContext" => &mut self.destination.any,
            "destinationEgressContext" => &mut self.destination.egress,
            "destinationIngressContext" => &mut self.destination.ingress,
            "labelsContext" => {
                self.labels = labels(metric, value.unwrap_or_default())?;
                return Ok(());
            }
            _ => {
                let option = key.to_owned();
                return Err(HubbleMetricError::Option { metric, option });
            }
        };
        *list = contexts(metric, option, value.unwrap_or_default())?;
        Ok(())
    }
}

fn metric_name(word: &str) -> Result<MetricName, HubbleMetricError> {
    let is = |other: &str| other.eq_ignore_ascii_case(word);
    if LAYER_7.into_iter().any(is) {
        return Err(HubbleMetricError::Layer7(word.to_owned()));
    }
    MetricName::ALL
        .into_iter()
        .find(|name| is(name.word()))
        .ok_or_else(|| HubbleMetricError::Name(word.to_owned()))
}

fn contexts(
    metric: MetricName,
    option: &str,
    value: &str,
) -> Result<Vec<Context>, HubbleMetricError> {
    let option = || option.to_owned();
    value
        .split('|')
        .map(|word| {
            let is = |other: &str| other.eq_ignore_ascii_case(word);
            if is("dns") {
                let option = option();
                return Err(HubbleMetricError::Dns { metric, option });
            }
            let found = Context::ALL.into_iter().find(|context| is(context.word()));
            found.ok_or_else(|| HubbleMetricError::Context {
                metric,
                option: option(),
                value: word.to_owned(),
            })
        })
        .collect()
}

fn labels(metric: MetricName, value: &str) -> Result<Vec<ContextLabel>, HubbleMetricError> {
    let mut labels = Vec::new();
    for word in value.split(',') {
        let found = ContextLabel::ALL
            .into_iter()
            .find(|label| label.word() == word);
        let label = found.ok_or_else(|| HubbleMetricError::Label {
            metric,
            value: word.to_owned(),
        })?;
        // Two labels of one name are no valid series.
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}
