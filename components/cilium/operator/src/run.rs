//! Wires the parts: listeners, Lease, and per term of leadership the watches and duties.

use std::sync::Arc;

use gloonet_daemon::{asking, listener::ListenError, signals};
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    args::Args,
    controller::supervise,
    endpoint_gc::EndpointGc,
    identities::controller::Identities,
    ipam::controller::Ipam,
    lease::keeper::Keeper,
    load_balancer_ipam::controller::LoadBalancerIpam,
    metrics::Metrics,
    node_gc::NodeGc,
    node_labels::NodeLabels,
    policy_validity::PolicyValidity,
    pool::{Pool, PoolError},
    readiness::Readiness,
    serve,
    unmanaged::Unmanaged,
    world::World,
    write::Writer,
};

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The cluster pool makes no sense.
    #[error("--cluster-pool-ipv4-cidr cannot be used")]
    Pool(#[source] PoolError),
    /// No way to the API server is configured.
    #[error("cannot set up the connection to the API server; set KUBECONFIG or run in a pod")]
    Client(#[source] kube::Error),
    /// A listener could not be opened.
    #[error("cannot serve")]
    Serve(#[source] ListenError),
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signal(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), RunError> {
    // Several rustls providers may be linked in; the first to be installed wins, and either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pool = Pool::new(
        &args.cluster_pool_ipv4_cidr,
        args.cluster_pool_ipv4_mask_size,
    )
    .map_err(RunError::Pool)?;
    let client = asking::client().await.map_err(RunError::Client)?;
    let stop = CancellationToken::new();
    signals::cancel_on_signal(&stop).map_err(RunError::Signal)?;
    let metrics = Arc::new(Metrics::default());
    serve::start(
        args.metrics_bind_address,
        args.health_bind_address,
        metrics.clone(),
        stop.clone(),
    )
    .await
    .map_err(RunError::Serve)?;
    info!(
        cluster = args.cluster_name,
        version = env!("CARGO_PKG_VERSION"),
        "cilium-operator serves"
    );

    let mut keeper = Keeper::new(client.clone(), &args.cilium_namespace, &args.pod_name);
    while keeper.acquire(&stop).await {
        metrics.leads(true);
        let term = stop.child_token();
        let writer = Arc::new(Writer::new(
            client.clone(),
            keeper.leading(),
            &args.pod_name,
        ));
        let mut tasks = duties(&args, &pool, &client, writer, &metrics, &term);
        keeper.keep(&stop).await;
        term.cancel();
        while tasks.join_next().await.is_some() {}
        metrics.leads(false);
        if stop.is_cancelled() {
            break;
        }
    }
    keeper.release().await;
    info!("stopped");
    Ok(())
}

/// Starts the watches and every duty for one term of leadership.
fn duties(
    args: &Args,
    pool: &Pool,
    client: &Client,
    writer: Arc<Writer>,
    metrics: &Arc<Metrics>,
    term: &CancellationToken,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let world = World::start(client, metrics, term, &mut tasks);
    macro_rules! duty {
        ($make:expr) => {
            tasks.spawn(supervise(
                $make,
                world.clone(),
                writer.clone(),
                metrics.clone(),
                term.clone(),
            ));
        };
    }
    let (gauges, pool) = (metrics.clone(), pool.clone());
    duty!(move || Ipam::new(pool.clone(), gauges.clone()));
    let (gauges, cluster, grace) = (
        metrics.clone(),
        args.cluster_name.clone(),
        args.identity_heartbeat_timeout_seconds,
    );
    duty!(move || Identities::new(&cluster, grace, gauges.clone()));
    let (gauges, grace) = (metrics.clone(), args.cilium_endpoint_gc_interval_seconds);
    duty!(move || EndpointGc::new(grace, gauges.clone()));
    let grace = args.nodes_gc_interval_seconds;
    duty!(move || NodeGc::new(grace));
    let namespace = args.cilium_namespace.clone();
    duty!(move || Readiness::new(&namespace));
    let gauges = metrics.clone();
    duty!(move || Unmanaged::new(gauges.clone()));
    duty!(|| NodeLabels);
    let gauges = metrics.clone();
    duty!(move || PolicyValidity::new(gauges.clone()));
    let gauges = metrics.clone();
    duty!(move || LoadBalancerIpam::new(gauges.clone()));
    tasks
}
