//! Wires the parts.

use std::{sync::Arc, time::Duration};

use gloo_insights::Settings;
use gloo_store::{Redis, Seal, SealError, Store};
use gloonet_daemon::{
    asking,
    listener::{self, ListenError},
    signals, tasks,
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    api, args::Args, clusters, config, engine::Engine, health, metrics::Metrics,
    prometheus::Prometheus, shared::Shared, snapshots::Snapshots,
};

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot set up the connection to the API server; set KUBECONFIG or run in a pod")]
    Client { source: kube::Error },
    #[error("cannot set up an HTTP client")]
    Http { source: reqwest::Error },
    #[error("cannot serve")]
    Serve {
        #[from]
        source: ListenError,
    },
    #[error("snapshots cannot be read")]
    Seal {
        #[from]
        source: SealError,
    },
    #[error("cannot listen for signals")]
    Signal { source: std::io::Error },
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), RunError> {
    // Several rustls providers may be linked in; the first to be installed wins, and either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = asking::client()
        .await
        .map_err(|source| RunError::Client { source })?;
    let closing = CancellationToken::new();
    signals::cancel_on_signal(&closing).map_err(|source| RunError::Signal { source })?;
    let (shared, metrics) = (Arc::new(Shared::default()), Arc::new(Metrics::default()));
    serve(&args, &shared, &metrics, &closing).await?;
    let (names, clusters) = watch::channel(None);
    let (said, settings) = watch::channel(Settings::default());
    let engine = engine(&args, (clusters, settings), shared, metrics)?;
    let mut running = JoinSet::new();
    running.spawn(clusters::follow(client.clone(), names, closing.clone()));
    running.spawn(config::follow(client, said, closing.clone()));
    running.spawn(engine.run(closing.clone()));
    tracing::info!(cluster = %args.cluster_name, "gloo-mesh-insights runs");
    closing.cancelled().await;
    tasks::end(running, GRACE).await;
    tracing::info!("stopped");
    Ok(())
}

async fn serve(
    args: &Args,
    shared: &Arc<Shared>,
    metrics: &Arc<Metrics>,
    closing: &CancellationToken,
) -> Result<(), ListenError> {
    let interval = Duration::from_secs(u64::from(args.interval));
    let bound = listener::bind(args.health_address, "health").await?;
    let routes = health::routes(shared.clone(), interval);
    listener::serve(bound, routes, closing.clone());
    let bound = listener::bind(args.metrics_address, "metrics").await?;
    let routes = health::metrics(shared.clone(), metrics.clone());
    listener::serve(bound, routes, closing.clone());
    let bound = listener::bind(args.api_address, "insights").await?;
    listener::serve(bound, api::routes(shared.clone()), closing.clone());
    Ok(())
}

fn engine(
    args: &Args,
    (clusters, settings): (watch::Receiver<clusters::Names>, watch::Receiver<Settings>),
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
) -> Result<Engine, RunError> {
    let snapshots = match &args.store_key {
        Some(path) => Some(Snapshots::new(Store::new(
            Redis::new(&args.redis),
            Seal::read(path)?,
        ))),
        None => None,
    };
    let prometheus = match &args.prometheus_url {
        Some(url) => Some(Prometheus::new(url).map_err(|source| RunError::Http { source })?),
        None => None,
    };
    Ok(Engine {
        home: args.cluster_name.clone(),
        interval: Duration::from_secs(u64::from(args.interval)),
        redis: Redis::new(&args.redis),
        snapshots,
        prometheus,
        clusters,
        settings,
        shared,
        metrics,
    })
}
