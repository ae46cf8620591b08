//! From arguments to a working operator, and back to nothing.

use std::{sync::Arc, time::Duration};

use gloonet_cluster::{Cluster, ConnectError, ElectionError, Fault};
use gloonet_daemon::{error::chain, listener::ListenError, signals};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    controller::Controller,
    metrics::Metrics,
    serve::{self, Pulse},
};

/// Pause before the stored inventory is asked for again.
const RETRY: Duration = Duration::from_secs(3);

/// The operator cannot work.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error("no connection to a cluster")]
    Connect(#[source] Box<ConnectError>),
    #[error("cannot serve")]
    Listen(#[from] ListenError),
    #[error("cannot receive signals")]
    Signals(#[source] std::io::Error),
    #[error("this replica may not work any more")]
    Lease(#[source] ElectionError),
    #[error("what the operator made before cannot be known")]
    Inventory(#[source] Box<Fault>),
}

/// Runs until SIGTERM, SIGINT, or the loss of the Lease.
pub async fn run(arguments: Arguments) -> Result<(), StartupError> {
    // An error only says that a provider is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let (metrics, pulse, stop) = (
        Arc::new(Metrics::new()),
        Arc::new(Pulse::default()),
        CancellationToken::new(),
    );
    serve::metrics(
        arguments.metrics_address,
        Arc::clone(&metrics),
        stop.clone(),
    )
    .await?;
    serve::health(arguments.health_address, Arc::clone(&pulse), stop.clone()).await?;
    signals::cancel_on_signal(&stop).map_err(StartupError::Signals)?;
    let meter: Arc<dyn gloonet_cluster::Meter> = Arc::clone(&metrics) as _;
    let cluster = Cluster::connect(arguments.kubeconfig.as_deref(), meter)
        .await
        .map_err(|source| StartupError::Connect(Box::new(source)))?;
    let result = Box::pin(lead(&arguments, &cluster, &metrics, &pulse, &stop)).await;
    stop.cancel();
    result
}

async fn lead(
    arguments: &Arguments,
    cluster: &Cluster,
    metrics: &Arc<Metrics>,
    pulse: &Arc<Pulse>,
    stop: &CancellationToken,
) -> Result<(), StartupError> {
    let election = cluster.election(&arguments.identity);
    tracing::info!(
        identity = arguments.identity,
        version = env!("CARGO_PKG_VERSION"),
        "waiting for the lease"
    );
    let since = tokio::select! {
        since = election.win(|| pulse.is_ready()) => since,
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!("this replica works");
    metrics.leads(true);
    let work = async {
        let hands = loop {
            match cluster.hands().await {
                Ok(hands) => break hands,
                Err(fault @ Fault::Inventory { .. }) => {
                    return Err(StartupError::Inventory(Box::new(fault)));
                }
                Err(fault) => {
                    tracing::warn!(error = chain(&fault), "the inventory cannot be read yet");
                }
            }
            tokio::time::sleep(RETRY).await;
        };
        let controller = Controller::new(
            cluster.clone(),
            hands,
            arguments,
            Arc::clone(metrics),
            Arc::clone(pulse),
        );
        // It holds what is known of every component: too much for the stack of who waits for it.
        Box::pin(controller.run(stop)).await;
        Ok(())
    };
    let result = tokio::select! {
        lost = election.keep(since) => return Err(StartupError::Lease(lost)),
        result = work => result,
    };
    metrics.leads(false);
    election.release().await;
    tracing::info!("stopped");
    result
}
