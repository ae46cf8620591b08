//! Asks the engine through a port forwarded to its pod: who may forward may read.

use std::time::Duration;

use gloo_api::names::{INSIGHTS, INSIGHTS_API_PORT, NAMESPACE};
use gloo_insights::Overview;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};

const ANSWER: Duration = Duration::from_secs(20);
/// Bytes of the document. An insight has about one thousand.
const LARGEST: usize = 256 << 20;

/// The engine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("pods of namespace {NAMESPACE} cannot be listed")]
    List(#[source] kube::Error),
    #[error(
        "no pod of {INSIGHTS} runs in namespace {NAMESPACE}: is this the cluster that manages? gloonet status says how it is"
    )]
    Absent,
    #[error(
        "no port can be forwarded to pod {pod}; that needs create on pods/portforward in namespace {NAMESPACE}"
    )]
    Forward { pod: String, source: kube::Error },
    #[error("pod {pod} takes no connection")]
    Port { pod: String },
    #[error("pod {pod} does not answer")]
    Http { pod: String, source: hyper::Error },
    #[error("pod {pod} does not answer within {} s", ANSWER.as_secs())]
    Slow { pod: String },
    #[error("the answer of pod {pod} cannot be read: {why}")]
    Body { pod: String, why: String },
    #[error("the engine has nothing to say yet: {words}")]
    NotYet { words: String },
    #[error("the answer of pod {pod} is not understood; is this gloonet of its release?")]
    Parse {
        pod: String,
        source: serde_json::Error,
    },
}

pub(super) async fn ask(client: Client) -> Result<Overview, EngineError> {
    let api: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let selector = ListParams::default().labels(&format!("app={INSIGHTS}"));
    let all = api.list(&selector).await.map_err(EngineError::List)?;
    let runs = |pod: &&Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    };
    let pod = all
        .items
        .iter()
        .find(runs)
        .ok_or(EngineError::Absent)?
        .name_any();
    match tokio::time::timeout(ANSWER, get(&api, &pod)).await {
        Ok(answer) => answer,
        Err(_) => Err(EngineError::Slow { pod }),
    }
}

async fn get(api: &Api<Pod>, name: &str) -> Result<Overview, EngineError> {
    let pod = || name.to_owned();
    let opened = api.portforward(name, &[INSIGHTS_API_PORT]).await;
    let mut forwarder = opened.map_err(|source| EngineError::Forward { pod: pod(), source })?;
    let stream = forwarder.take_stream(INSIGHTS_API_PORT);
    let stream = stream.ok_or_else(|| EngineError::Port { pod: pod() })?;
    let http = |source| EngineError::Http { pod: pod(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let driven = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = http::Uri::from_static("/v1/insights");
    let host = http::HeaderValue::from_static("localhost");
    request.headers_mut().insert(http::header::HOST, host);
    let answer = sender.send_request(request).await.map_err(http)?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| EngineError::Body {
        pod: pod(),
        why: error.to_string(),
    })?;
    let body = body.to_bytes();
    driven.abort();
    if !code.is_success() {
        let words = String::from_utf8_lossy(&body).into_owned();
        return Err(EngineError::NotYet { words });
    }
    serde_json::from_slice(&body).map_err(|source| EngineError::Parse { pod: pod(), source })
}
