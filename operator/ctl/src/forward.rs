//! Asks a program of ours through a port forwarded to its pod: who may forward may ask.

use std::time::Duration;

use gloo_api::names::NAMESPACE;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::io::{AsyncRead, AsyncWrite};

const ANSWER: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const LARGEST: usize = 256 << 20;

/// What is asked of whom.
#[derive(Debug)]
pub(crate) struct Question {
    /// Label `app` of the pods.
    pub(crate) app: &'static str,
    pub(crate) port: u16,
    pub(crate) path: &'static str,
    /// Shown as bearer token.
    pub(crate) token: Option<String>,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("pods of namespace {NAMESPACE} cannot be listed")]
    List(#[source] kube::Error),
    #[error(
        "no pod of {app} runs in namespace {NAMESPACE}: is this the cluster that manages? gloonet status says how it is"
    )]
    Absent { app: &'static str },
    #[error(
        "no port can be forwarded to pod {pod}; that needs create on pods/portforward in namespace {NAMESPACE}"
    )]
    Forward { pod: String, source: kube::Error },
    #[error("pod {pod} takes no connection")]
    Port { pod: String },
    #[error("pod {pod} does not answer")]
    Http { pod: String, source: hyper::Error },
    #[error("the token cannot be sent: it has more than one line")]
    Token,
    #[error("pod {pod} does not answer within {} s", ANSWER.as_secs())]
    Slow { pod: String },
    #[error("the answer of pod {pod} cannot be read: {why}")]
    Body { pod: String, why: String },
}

/// An answer, and which pod gave it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) pod: String,
    pub(crate) code: StatusCode,
    pub(crate) body: Bytes,
}

/// Asks any running pod.
pub(crate) async fn ask(client: Client, question: &Question) -> Result<Answer, ForwardError> {
    let api: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let app = question.app;
    let selector = ListParams::default().labels(&format!("app={app}"));
    let all = api.list(&selector).await.map_err(ForwardError::List)?;
    let runs = |pod: &&Pod| {
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    };
    let pod = all.items.iter().find(runs);
    let pod = pod.ok_or(ForwardError::Absent { app })?.name_any();
    let asked = async {
        let opened = api.portforward(&pod, &[question.port]).await;
        let mut forwarder = opened.map_err(|source| ForwardError::Forward {
            pod: pod.clone(),
            source,
        })?;
        let stream = forwarder.take_stream(question.port);
        let stream = stream.ok_or_else(|| ForwardError::Port { pod: pod.clone() })?;
        get(stream, question, &pod).await
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(ForwardError::Slow { pod }),
    }
}

/// Over a connection to the pod.
pub(crate) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    question: &Question,
    pod: &str,
) -> Result<Answer, ForwardError> {
    let pod = || pod.to_owned();
    let http = |source| ForwardError::Http { pod: pod(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let driven = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = http::Uri::from_static(question.path);
    let host = HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    if let Some(token) = &question.token {
        let token = HeaderValue::try_from(format!("Bearer {token}"));
        let mut token = token.map_err(|_| ForwardError::Token)?;
        token.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, token);
    }
    let answer = sender.send_request(request).await.map_err(http)?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| ForwardError::Body {
        pod: pod(),
        why: error.to_string(),
    })?;
    driven.abort();
    Ok(Answer {
        pod: pod(),
        code,
        body: body.to_bytes(),
    })
}
