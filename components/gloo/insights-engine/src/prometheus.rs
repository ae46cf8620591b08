//! Asks Prometheus the rules' queries (HTTP API v1, instant query).

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use gloo_insights::{Answers, Query, Sample, queries};
use serde::Deserialize;

const ANSWER: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 4;
/// Bytes of an answer.
const LARGEST: usize = 16 << 20;
/// Series of an answer. A query that gives more is about too many things to tell a person.
const SERIES: usize = 20_000;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("Prometheus cannot be asked")]
    Http {
        #[from]
        source: reqwest::Error,
    },
    #[error("Prometheus answers with more than {LARGEST} bytes")]
    Large,
    #[error("what answers is no Prometheus")]
    Parse { source: serde_json::Error },
    #[error("Prometheus refused the query: {reason}")]
    Refused { reason: String },
    #[error("the answer has {series} series, more than {SERIES}")]
    Many { series: usize },
    #[error("the answer is a {kind} and no vector")]
    Kind { kind: String },
}

/// A Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

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
        // The image carries no authorities, and the library would not start without any: Prometheus is asked over plain HTTP.
        let client = reqwest::Client::builder()
            .timeout(ANSWER)
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let url = format!("{}/api/v1/query", url.trim_end_matches('/'));
        Ok(Self { client, url })
    }

    /// Every query of the catalog.
    pub async fn ask(&self) -> Answers {
        let asked: Vec<_> = queries()
            .into_iter()
            .map(|query| self.named(query))
            .collect();
        stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    async fn named(&self, query: &'static Query) -> (&'static str, Result<Vec<Sample>, String>) {
        let answer = self.one(query).await;
        let answer = answer.map_err(|error| gloonet_daemon::error::chain(&error));
        (query.name, answer)
    }

    async fn one(&self, query: &Query) -> Result<Vec<Sample>, QueryError> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded");
        let mut answer = request.body(form(query.text)).send().await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > LARGEST {
                return Err(QueryError::Large);
            }
            body.extend_from_slice(&piece);
        }
        read(&body)
    }
}

fn form(query: &str) -> String {
    let escaped = query.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            text.push(char::from(byte));
        } else {
            text.extend(["%", &format!("{byte:02X}")]);
        }
        text
    });
    format!("query={escaped}")
}

/// Foreign input: a Prometheus of the user's may be of any version, or none.
fn read(body: &[u8]) -> Result<Vec<Sample>, QueryError> {
    let wrong = |source| QueryError::Parse { source };
    let reply: Reply = serde_json::from_slice(body).map_err(wrong)?;
    let data = match reply.data {
        Some(data) if reply.status == "success" => data,
        _ => {
            return Err(QueryError::Refused {
                reason: reply.error,
            });
        }
    };
    if data.result_type != "vector" {
        return Err(QueryError::Kind {
            kind: data.result_type,
        });
    }
    let rows: Vec<Row> = serde_json::from_value(data.result).map_err(wrong)?;
    if rows.len() > SERIES {
        return Err(QueryError::Many { series: rows.len() });
    }
    // What is no number is no evidence.
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let value: f64 = row.value.1.parse().ok()?;
            value.is_finite().then_some(Sample {
                labels: row.metric,
                value,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_and_what_is_no_number_is_no_sample() {
        let body = br#"{"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"cluster": "east"}, "value": [1.5, "12"]},
            {"metric": {}, "value": [1.5, "NaN"]}, {"metric": {}, "value": [1.5, "+Inf"]}
        ]}}"#;
        let samples = read(body).unwrap();
        assert_eq!((samples.len(), samples[0].label("cluster")), (1, "east"));
    }

    #[test]
    fn every_other_answer_is_an_error_in_words() {
        let error = |body: &str| read(body.as_bytes()).unwrap_err().to_string();
        let refused = error(r#"{"status": "error", "error": "parse error"}"#);
        assert_eq!(refused, "Prometheus refused the query: parse error");
        assert_eq!(error("<html>"), "what answers is no Prometheus");
        let scalar =
            r#"{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}"#;
        assert_eq!(error(scalar), "the answer is a scalar and no vector");
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
