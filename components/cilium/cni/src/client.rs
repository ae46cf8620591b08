//! The agent's REST API over its unix socket. One connection per call of the plugin, kept for all its requests.

use std::path::Path;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::model;

/// An answer larger than this does not come from our agent.
const ANSWER_MAX: usize = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("connecting to the agent's socket {path}")]
    Connect {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("no answer from the agent within {0:?}")]
    Timeout(Duration),
    #[error("speaking HTTP with the agent")]
    Http(#[source] hyper::Error),
    #[error("building a request to the agent")]
    Request(#[source] http::Error),
    #[error("encoding a request to the agent")]
    Encode(#[source] serde_json::Error),
    #[error("reading the agent's answer: {0}")]
    Body(String),
    #[error("decoding the agent's answer")]
    Decode(#[source] serde_json::Error),
}

/// What the agent answered: 2xx with a body, or its reason for not doing it.
#[derive(Debug)]
pub enum Answer<T> {
    Done(T),
    Refused { status: StatusCode, message: String },
}

#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// # Errors
    /// When nobody listens on `socket` within `timeout`.
    pub async fn connect(socket: &Path, timeout: Duration) -> Result<Self, ClientError> {
        let connecting = async {
            let stream =
                UnixStream::connect(socket)
                    .await
                    .map_err(|source| ClientError::Connect {
                        path: socket.display().to_string(),
                        source,
                    })?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(ClientError::Http)?;
            // Ends with the sender; its error reaches the caller through the request it breaks.
            tokio::spawn(connection);
            Ok(Self { sender })
        };
        within(timeout, connecting).await
    }

    /// # Errors
    /// When no whole answer came within `timeout`. A refusal is an answer.
    pub async fn call<T: DeserializeOwned + Default>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
        timeout: Duration,
    ) -> Result<Answer<T>, ClientError> {
        let bytes = match body {
            Some(value) => serde_json::to_vec(value).map_err(ClientError::Encode)?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", model::BASE))
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(ClientError::Request)?;
        within(timeout, self.exchange(request)).await
    }

    async fn exchange<T: DeserializeOwned + Default>(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer<T>, ClientError> {
        self.sender.ready().await.map_err(ClientError::Http)?;
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(ClientError::Http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX)
            .collect()
            .await
            .map_err(|error| ClientError::Body(error.to_string()))?
            .to_bytes();
        if !status.is_success() {
            let message = serde_json::from_slice::<model::Problem>(&body)
                .map_or_else(|_| status.to_string(), |problem| problem.message);
            return Ok(Answer::Refused { status, message });
        }
        if body.is_empty() {
            return Ok(Answer::Done(T::default()));
        }
        serde_json::from_slice(&body)
            .map(Answer::Done)
            .map_err(ClientError::Decode)
    }
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or(Err(ClientError::Timeout(timeout)))
}
