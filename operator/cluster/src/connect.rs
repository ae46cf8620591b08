//! A client for the API server, with every request counted.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use gloonet_daemon::asking;
use http::{Method, Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{Layer, Service};

/// Told about every request to the API server.
pub trait Meter: Send + Sync {
    /// `verb` as RBAC names it, `resource` in plural (with `/status` for the subresource), `code` the HTTP status, 0 when
    /// there was no answer.
    fn request(&self, verb: &str, resource: &str, code: u16);
}

/// No client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("kubeconfig {path} cannot be used", path = .path.display())]
    Kubeconfig {
        path: PathBuf,
        source: kube::config::KubeconfigError,
    },
    #[error(
        "there is neither a ServiceAccount nor a kubeconfig; give --kubeconfig, or set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the pod"
    )]
    NoConfiguration(#[source] kube::config::InferConfigError),
    #[error("no client can be built for {address}")]
    Build {
        address: String,
        source: kube::Error,
    },
}

/// Connects with a kubeconfig, or as a pod: its ServiceAccount, and the address in `KUBERNETES_SERVICE_HOST` and
/// `KUBERNETES_SERVICE_PORT`, which works before there is a service network.
pub async fn connect(
    kubeconfig: Option<&Path>,
    meter: Arc<dyn Meter>,
) -> Result<Client, ConnectError> {
    build(configuration(kubeconfig).await?, meter)
}

/// As [`connect()`], for who sees to failures itself and forwards no port.
pub(crate) async fn connect_prudently(
    kubeconfig: Option<&Path>,
    meter: Arc<dyn Meter>,
) -> Result<Client, ConnectError> {
    build(asking::prudent(configuration(kubeconfig).await?), meter)
}

async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, ConnectError> {
    Ok(match kubeconfig {
        Some(path) => from_file(path)
            .await
            .map_err(|source| ConnectError::Kubeconfig {
                path: path.to_owned(),
                source,
            })?,
        None => match Config::incluster_env() {
            Ok(config) => config,
            Err(_) => Config::infer()
                .await
                .map_err(ConnectError::NoConfiguration)?,
        },
    })
}

fn build(mut config: Config, meter: Arc<dyn Meter>) -> Result<Client, ConnectError> {
    config.connect_timeout = Some(Duration::from_secs(5));
    let address = config.cluster_url.to_string();
    let builder = ClientBuilder::try_from(config)
        .map_err(|source| ConnectError::Build { address, source })?;
    Ok(builder.with_layer(&Counting(meter)).build())
}

async fn from_file(path: &Path) -> Result<Config, kube::config::KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

struct Counting(Arc<dyn Meter>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted {
            inner,
            meter: Arc::clone(&self.0),
        }
    }
}

struct Counted<S> {
    inner: S,
    meter: Arc<dyn Meter>,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (verb, resource) = describe(request.method(), request.uri());
        let meter = Arc::clone(&self.meter);
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            meter.request(
                verb,
                &resource,
                answer
                    .as_ref()
                    .map_or(0, |response| response.status().as_u16()),
            );
            answer
        }
        .boxed()
    }
}

/// Verb and resource of a request, from its path: `/apis/GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUB]]`.
fn describe(method: &Method, uri: &http::Uri) -> (&'static str, String) {
    let mut parts: Vec<&str> = uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let prefix = if parts.first() == Some(&"api") { 2 } else { 3 };
    parts.drain(..prefix.min(parts.len()));
    if parts.first() == Some(&"namespaces") && parts.len() > 2 {
        parts.drain(..2);
    }
    let watch = uri
        .query()
        .is_some_and(|query| query.contains("watch=true") || query.contains("watch=1"));
    let verb = match *method {
        _ if watch => "watch",
        Method::GET if parts.len() < 2 => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    let resource = parts.first().copied().unwrap_or_default();
    let resource = parts
        .get(2)
        .map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(method: Method, path: &str) -> (&'static str, String) {
        describe(&method, &path.parse().unwrap())
    }

    #[test]
    fn requests_are_named_as_rbac_names_them() {
        assert_eq!(
            described(Method::GET, "/api/v1/nodes?limit=500"),
            ("list", "nodes".to_owned())
        );
        assert_eq!(
            described(Method::GET, "/api/v1/nodes?watch=true"),
            ("watch", "nodes".to_owned())
        );
        assert_eq!(
            described(Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/b"),
            ("patch", "deployments".to_owned())
        );
        assert_eq!(
            described(
                Method::PATCH,
                "/apis/gloonetwork.io/v1alpha1/gloonetworks/default/status?force=true"
            ),
            ("patch", "gloonetworks/status".to_owned())
        );
        assert_eq!(
            described(Method::GET, "/api/v1/namespaces/gloo-mesh"),
            ("get", "namespaces".to_owned())
        );
        assert_eq!(
            described(Method::POST, "/api/v1/namespaces/gloo-mesh/secrets"),
            ("create", "secrets".to_owned())
        );
    }
}
