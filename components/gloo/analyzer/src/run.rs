//! Wires the parts.

use std::{sync::Arc, time::Duration};

use gloonet_daemon::{
    asking,
    listener::{self, ListenError},
    signals, tasks,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    agents::Agents,
    args::Args,
    emit::Emitter,
    health,
    metrics::Metrics,
    reader::Reader,
    schedule::{self, Parts, Runs},
    world::World,
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
    let (metrics, runs) = (Arc::new(Metrics::default()), Arc::new(Runs::default()));
    let bound = listener::bind(args.health_address, "health").await?;
    listener::serve(bound, health::routes(runs.clone()), closing.clone());
    let bound = listener::bind(args.metrics_address, "metrics").await?;
    listener::serve(bound, health::metrics(metrics.clone()), closing.clone());
    let world = World::watch(&client, &closing);
    let agents = Agents::new().map_err(|source| RunError::Http { source })?;
    let emitter = Arc::new(Emitter::new(&args));
    tracing::info!(cluster = %args.cluster_name, collector = args.otlp_address, "gloo-mesh-analyzer runs");
    let parts = Parts {
        reader: Arc::new(Reader::new(client, world, agents, args)),
        emitter,
        metrics,
        runs,
    };
    let mut running = JoinSet::new();
    schedule::start(&parts, &closing, &mut running);
    closing.cancelled().await;
    tasks::end(running, GRACE).await;
    tracing::info!("stopped");
    Ok(())
}
