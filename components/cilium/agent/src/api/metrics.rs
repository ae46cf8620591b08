//! `/v1/metrics`: what is scraped, as a list. Buckets of histograms are left out; their sums and counts are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::metric::Metric;

use crate::agent::blocking;
use crate::api::refuse;
use crate::metrics::Metrics;

pub async fn list(State(metrics): State<Arc<Metrics>>) -> Response {
    match blocking(move || metrics.text()).await {
        Some(Ok(text)) => Json(read(&text)).into_response(),
        _ => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics could not be read; see the agent's log",
        ),
    }
}

fn read(text: &str) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(sample)
        .filter(|metric| !metric.name.ends_with("_bucket"))
        .collect();
    metrics.sort_by(|one, other| (&one.name, &one.labels).cmp(&(&other.name, &other.labels)));
    metrics
}

/// One line of the exposition: `name{label="value"} number`.
fn sample(line: &str) -> Option<Metric> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // JSON has no infinity.
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then(|| Metric {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The labels, and what follows their closing brace.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(key.to_owned(), value);
        rest = after;
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels_and_buckets_are_left_out() {
        let text = "# TYPE x counter\nx_total{reason=\"a \\\"b\\\", c}\",direction=\"EGRESS\"} 7\ny 0.5\nz_bucket{le=\"1\"} 3\nz_sum 2.5\nw +Inf\n# EOF\n";
        let read = read(text);
        let names: Vec<&str> = read.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["x_total", "y", "z_sum"]);
        assert_eq!(read[0].labels["reason"], "a \"b\", c}");
        assert_eq!(read[0].labels["direction"], "EGRESS");
        assert_eq!((read[0].value, read[1].value), (7.0, 0.5));
    }

    #[test]
    fn a_line_that_is_no_sample_costs_no_other() {
        assert_eq!(read("broken{a=\"b\nfine 1\n").len(), 1);
    }
}
