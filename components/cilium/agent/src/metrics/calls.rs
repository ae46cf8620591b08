//! What the API server is asked, and how long it takes to begin an answer: of every request that the agent's client makes.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tower::{Layer, Service};

/// Seconds; upstream's.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// As upstream's client says that nobody answered.
const NO_ANSWER: &str = "<error>";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    host: String,
    method: String,
    return_code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    path: String,
    method: String,
}

type Times = Family<Asked, Histogram, fn() -> Histogram>;

/// What was asked, and how long it took.
#[derive(Clone, Debug)]
pub struct Calls {
    number: Family<Call, Counter>,
    took: Times,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            number: Family::default(),
            took: Times::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl Calls {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "k8s_client_api_calls",
            "Requests to the API server, by host, method and code of the answer",
            self.number.clone(),
        );
        registry.register(
            "k8s_client_api_latency_time_seconds",
            "Seconds until the API server began its answer",
            self.took.clone(),
        );
    }

    /// A layer around a client that asks this host.
    pub fn to(&self, host: String) -> Host {
        Host {
            name: host,
            calls: self.clone(),
        }
    }

    fn answered(&self, host: &str, uri: &Uri, method: &Method, code: Option<u16>, took: Duration) {
        let method = method.to_string();
        let call = Call {
            host: host.to_owned(),
            method: method.clone(),
            return_code: code.map_or_else(|| NO_ANSWER.to_owned(), |code| code.to_string()),
        };
        self.number.get_or_create(&call).inc();
        let path = kind(uri.path());
        let asked = Asked { path, method };
        self.took.get_or_create(&asked).observe(took.as_secs_f64());
    }
}

/// A path without names, so that there are as many as there are kinds: `/apis/GROUP/VERSION/namespaces/{namespace}/pods/{name}`.
fn kind(path: &str) -> String {
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let fixed = match parts.peek() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        // `/version` and the like.
        _ => 1,
    };
    let mut kind: Vec<&str> = parts.by_ref().take(fixed).collect();
    let mut parts: Vec<&str> = parts.collect();
    if parts.len() > 2 && parts.first() == Some(&"namespaces") {
        kind.extend(["namespaces", "{namespace}"]);
        parts.drain(..2);
    }
    for (at, part) in parts.into_iter().enumerate() {
        kind.push(if at == 1 { "{name}" } else { part });
    }
    format!("/{}", kind.join("/"))
}

/// One host that is asked.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    calls: Calls,
}

impl<S> Layer<S> for Host {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted {
            inner,
            host: self.clone(),
        }
    }
}

/// A client whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    host: Host,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    R: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asking = Asking {
            host: self.host.clone(),
            uri: request.uri().clone(),
            method: request.method().clone(),
            began: Instant::now(),
            code: None,
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let answered = answer.as_ref().ok();
            asking.ended(answered.map(|answer| answer.status().as_u16()));
            answer
        })
    }
}

/// A request on its way. It is counted when it ends, also when whoever waited for it has given it up.
struct Asking {
    host: Host,
    uri: Uri,
    method: Method,
    began: Instant,
    code: Option<u16>,
}

impl Asking {
    fn ended(mut self, code: Option<u16>) {
        self.code = code;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Host { name, calls } = &self.host;
        calls.answered(
            name,
            &self.uri,
            &self.method,
            self.code,
            self.began.elapsed(),
        );
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[test]
    fn a_path_names_a_kind_and_no_object() {
        for (path, expected) in [
            ("/api/v1/pods", "/api/v1/pods"),
            ("/api/v1/nodes/worker-1", "/api/v1/nodes/{name}"),
            ("/api/v1/namespaces", "/api/v1/namespaces"),
            ("/api/v1/namespaces/shop", "/api/v1/namespaces/{name}"),
            (
                "/apis/cilium.io/v2/namespaces/shop/ciliumendpoints/web",
                "/apis/cilium.io/v2/namespaces/{namespace}/ciliumendpoints/{name}",
            ),
            (
                "/apis/events.k8s.io/v1/namespaces/kube-system/events",
                "/apis/events.k8s.io/v1/namespaces/{namespace}/events",
            ),
            (
                "/apis/cilium.io/v2/ciliumnodes/worker-1/status",
                "/apis/cilium.io/v2/ciliumnodes/{name}/status",
            ),
            ("/version", "/version"),
            ("/", "/"),
        ] {
            assert_eq!(kind(path), expected);
        }
    }

    #[tokio::test]
    async fn each_request_is_counted_with_its_answer_or_that_there_was_none() {
        let calls = Calls::default();
        let answers = |request: Request<()>| async move {
            let gone = request.uri().path() == "/api/v1/pods";
            (!gone)
                .then(|| Response::builder().status(409).body(()).unwrap())
                .ok_or("nobody answers")
        };
        let client = calls
            .to("172.30.0.10:6443".to_owned())
            .layer(service_fn(answers));
        let ask = |path: &str| {
            let request = Request::builder().method("PATCH").uri(path).body(());
            client.clone().oneshot(request.unwrap())
        };
        assert!(ask("/api/v1/pods?watch=true").await.is_err());
        assert!(ask("/api/v1/nodes/worker-1").await.is_ok());
        assert!(ask("/api/v1/nodes/worker-2").await.is_ok());
        let silent = calls.to("silent".to_owned());
        let silent = silent.layer(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<()>, &str>>()
        }));
        let request = Request::builder().uri("/api/v1/pods").body(()).unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(1), silent.oneshot(request));
        assert!(given_up.await.is_err());
        let mut registry = Registry::with_prefix("cilium");
        calls.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"cilium_k8s_client_api_calls_total{host="172.30.0.10:6443",method="PATCH",return_code="409"} 2"#,
            r#"cilium_k8s_client_api_calls_total{host="172.30.0.10:6443",method="PATCH",return_code="<error>"} 1"#,
            r#"cilium_k8s_client_api_calls_total{host="silent",method="GET",return_code="<error>"} 1"#,
            r#"cilium_k8s_client_api_latency_time_seconds_count{path="/api/v1/nodes/{name}",method="PATCH"} 2"#,
            r#"cilium_k8s_client_api_latency_time_seconds_count{path="/api/v1/pods",method="PATCH"} 1"#,
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
