//! Asks Prometheus the rules' queries (HTTP API v1, instant query).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use gloo_insights::{Answers, Query, Sample, queries};
use gloonet_daemon::prometheus;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

const ANSWER: Duration = Duration::from_secs(10);
/// For all queries together. A slow Prometheus costs the rules that need it, and not the rhythm of the others.
const ROUND: Duration = Duration::from_secs(15);
const AT_ONCE: usize = 4;
/// Bytes of an answer.
const LARGEST: usize = 16 << 20;
/// Series of an answer. A query that gives more is about too many things to tell a person.
const SERIES: usize = 20_000;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Asked {
        #[from]
        source: prometheus::QueryError,
    },
    #[error("Prometheus did not answer all queries within {} s", ROUND.as_secs())]
    Late,
    #[error("the answer has {series} series, more than {SERIES}")]
    Many { series: usize },
    #[error("the answer is a {kind} and no vector")]
    Kind { kind: String },
    #[error("the value {text:?} of the answer is no number")]
    Value { text: String },
    #[error("the answer has the series {labels:?} twice")]
    Twice { labels: BTreeMap<String, String> },
}

/// A Prometheus.
#[derive(Debug)]
pub struct Prometheus(prometheus::Prometheus);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Row {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    pub fn new(url: &str) -> Result<Self, reqwest::Error> {
        prometheus::Prometheus::new(url, ANSWER, LARGEST).map(Self)
    }

    /// Every query of the catalog.
    pub async fn ask(&self) -> Answers {
        let end = Instant::now() + ROUND;
        let asked: Vec<_> = queries()
            .into_iter()
            .map(|query| self.named(query, end))
            .collect();
        stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    async fn named(
        &self,
        query: &'static Query,
        end: Instant,
    ) -> (&'static str, Result<Vec<Sample>, String>) {
        let asked = async { samples(self.0.query(query.text).await?) };
        let answer = timeout_at(end, asked).await;
        let answer = answer.unwrap_or(Err(QueryError::Late));
        let answer = answer.map_err(|error| gloonet_daemon::error::chain(&error));
        (query.name, answer)
    }
}

/// Foreign input: what it is of is only known now.
fn samples(data: Data) -> Result<Vec<Sample>, QueryError> {
    if data.result_type != "vector" {
        return Err(QueryError::Kind {
            kind: data.result_type,
        });
    }
    let rows: Vec<Row> =
        serde_json::from_value(data.result).map_err(|source| prometheus::QueryError::Parse {
            status: StatusCode::OK,
            source,
        })?;
    if rows.len() > SERIES {
        return Err(QueryError::Many { series: rows.len() });
    }
    let mut seen = BTreeSet::new();
    for row in &rows {
        // A vector has none twice. Of two that differ nobody knows which is true.
        if !seen.insert(&row.metric) {
            let labels = row.metric.clone();
            return Err(QueryError::Twice { labels });
        }
    }
    rows.into_iter().map(sample).collect()
}

/// A value that is not finite is passed on: it takes the evidence from the cluster it is about, and from no other.
fn sample(row: Row) -> Result<Sample, QueryError> {
    let text = row.value.1;
    let value = text.parse().map_err(|_| QueryError::Value { text })?;
    Ok(Sample {
        labels: row.metric,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: StatusCode, body: &[u8]) -> Result<Vec<Sample>, QueryError> {
        samples(prometheus::read(status, body)?)
    }

    fn answer(body: &str) -> Result<Vec<Sample>, QueryError> {
        read(StatusCode::OK, body.as_bytes())
    }

    fn error(body: &str) -> String {
        answer(body).unwrap_err().to_string()
    }

    fn vector(rows: &str) -> String {
        format!(
            r#"{{"status": "success", "data": {{"resultType": "vector", "result": [{rows}]}}}}"#
        )
    }

    #[test]
    fn a_vector_is_read_with_what_is_no_number_in_it() {
        let rows = r#"{"metric": {"cluster": "east"}, "value": [1.5, "12"]},
            {"metric": {}, "value": [1.5, "NaN"]}, {"metric": {"a": "b"}, "value": [1.5, "+Inf"]}"#;
        let samples = answer(&vector(rows)).unwrap();
        assert_eq!((samples.len(), samples[0].label("cluster")), (3, "east"));
        assert!(samples[1].value.is_nan() && samples[2].value.is_infinite());
    }

    #[test]
    fn every_other_answer_is_an_error_in_words() {
        let refused = error(r#"{"status": "error", "error": "parse error"}"#);
        assert_eq!(
            refused,
            "Prometheus refused the query (HTTP 200 OK): parse error"
        );
        let page = read(StatusCode::NOT_FOUND, b"<html>").unwrap_err();
        let words = "what answers is no Prometheus (HTTP 404 Not Found)";
        assert_eq!(page.to_string(), words);
        let scalar =
            r#"{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}"#;
        assert_eq!(error(scalar), "the answer is a scalar and no vector");
        let word = vector(r#"{"metric": {}, "value": [1.5, "much"]}"#);
        assert_eq!(
            error(&word),
            "the value \"much\" of the answer is no number"
        );
    }

    #[test]
    fn an_answer_with_a_series_twice_is_none_and_neither_is_success_with_an_error_for_its_status() {
        let row = |value| format!(r#"{{"metric": {{"a": "b"}}, "value": [1.5, "{value}"]}}"#);
        let twice = error(&vector(&format!("{}, {}", row(0), row(7))));
        assert_eq!(twice, r#"the answer has the series {"a": "b"} twice"#);
        let said = read(StatusCode::BAD_GATEWAY, vector(&row(0)).as_bytes());
        let refused = |error: &QueryError| {
            let QueryError::Asked { source } = error else {
                return false;
            };
            matches!(source, prometheus::QueryError::Refused { .. })
        };
        assert!(said.as_ref().is_err_and(refused), "{said:?}");
    }

    #[tokio::test]
    async fn a_prometheus_that_is_away_leaves_an_error_for_every_query() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let answers = Prometheus::new(&format!("http://{address}"))
            .unwrap()
            .ask()
            .await;
        assert_eq!(answers.len(), queries().len());
        assert!(answers.values().all(Result::is_err));
    }
}
