//! Asking a Prometheus (HTTP API v1, instant query). It may be the user's, of any version, or none at all.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::web;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("Prometheus cannot be asked")]
    Http {
        #[from]
        source: reqwest::Error,
    },
    #[error("Prometheus is not heard to the end")]
    Body {
        #[from]
        source: web::BodyError,
    },
    #[error("what answers is no Prometheus (HTTP {status})")]
    Parse {
        status: StatusCode,
        source: serde_json::Error,
    },
    #[error("Prometheus refused the query (HTTP {status}): {reason}")]
    Refused { status: StatusCode, reason: String },
}

/// A Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    client: Client,
    url: String,
    most: usize,
}

#[derive(Deserialize)]
struct Reply<T> {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<T>,
}

impl Prometheus {
    /// One that is given so long to answer, and so many bytes.
    pub fn new(url: &str, answer: Duration, most: usize) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: web::client(answer)?,
            url: format!("{}/api/v1/query", url.trim_end_matches('/')),
            most,
        })
    }

    /// What a query comes to now: `data` of the answer.
    pub async fn query<T: DeserializeOwned>(&self, query: &str) -> Result<T, QueryError> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form(query)).send().await?;
        let status = answer.status();
        let body = web::body(answer, self.most).await?;
        read(status, &body)
    }
}

/// `data` of an answer.
pub fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, QueryError> {
    let wrong = |source| QueryError::Parse { status, source };
    let reply: Reply<T> = serde_json::from_slice(body).map_err(wrong)?;
    match reply.data {
        Some(data) if reply.status == "success" && status.is_success() => Ok(data),
        _ => Err(QueryError::Refused {
            status,
            reason: reply.error,
        }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_escaped_to_the_last_sign() {
        assert_eq!(form("a_1{b=\"c\"}"), "query=a_1%7Bb%3D%22c%22%7D");
    }

    #[test]
    fn success_is_data_under_a_status_that_says_so_too() {
        let said = |status, body: &str| read::<u32>(status, body.as_bytes());
        let good = r#"{"status": "success", "data": 7}"#;
        assert_eq!(said(StatusCode::OK, good).unwrap(), 7);
        for (status, body) in [
            (StatusCode::BAD_GATEWAY, good),
            (StatusCode::OK, r#"{"status": "error", "data": 7}"#),
            (StatusCode::OK, r#"{"status": "success"}"#),
        ] {
            let error = said(status, body).unwrap_err();
            assert!(matches!(error, QueryError::Refused { .. }), "{error}");
        }
    }
}
