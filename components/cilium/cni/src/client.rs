//! The agent's REST API over its unix socket. One connection per call of the plugin, kept for all its requests.

mod lines;

use std::path::Path;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

pub use self::lines::Lines;
use crate::model;

/// An answer larger than this does not come from our agent.
const ANSWER_MAX: usize = 64 << 20;

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
        let request = request(method, path, bytes)?;
        within(timeout, self.exchange(request)).await
    }

    /// Asks for an answer that has a line per thing and need not end. `timeout` is for its beginning.
    ///
    /// # Errors
    /// When no answer began within `timeout`. A refusal is an answer.
    pub async fn lines(
        mut self,
        path: &str,
        timeout: Duration,
    ) -> Result<Answer<Lines>, ClientError> {
        let request = request(Method::GET, path, Vec::new())?;
        let beginning = async {
            let response = self.send(request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(Answer::Done(Lines::new(response.into_body())));
            }
            let body = whole(response.into_body()).await?;
            Ok(refused(status, &body))
        };
        within(timeout, beginning).await
    }

    async fn exchange<T: DeserializeOwned + Default>(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer<T>, ClientError> {
        let response = self.send(request).await?;
        let status = response.status();
        let body = whole(response.into_body()).await?;
        if !status.is_success() {
            return Ok(refused(status, &body));
        }
        if body.is_empty() {
            return Ok(Answer::Done(T::default()));
        }
        serde_json::from_slice(&body)
            .map(Answer::Done)
            .map_err(ClientError::Decode)
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        self.sender.ready().await.map_err(ClientError::Http)?;
        self.sender
            .send_request(request)
            .await
            .map_err(ClientError::Http)
    }
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(format!("{}{path}", model::BASE))
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(ClientError::Request)
}

async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    Limited::new(body, ANSWER_MAX)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| ClientError::Body(error.to_string()))
}

fn refused<T>(status: StatusCode, body: &[u8]) -> Answer<T> {
    let message = serde_json::from_slice::<model::Problem>(body)
        .map_or_else(|_| status.to_string(), |problem| problem.message);
    Answer::Refused { status, message }
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or(Err(ClientError::Timeout(timeout)))
}
