//! From nothing to a serving agent, and back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cilium_cni::runtime;
use datapath::Datapath;
use datapath::link::Netlink;
use gloonet_daemon::listener::{self, ListenError};
use gloonet_daemon::{exposition, logging};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, Own, blocking};
use crate::bell::Bells;
use crate::cluster_health::ClusterHealth;
use crate::config::{Arguments, Config, ConfigError};
use crate::endpoints::Endpoints;
use crate::facts::Place;
use crate::health::Progress;
use crate::ipam::Pool;
use crate::kubernetes::{Kubernetes, KubernetesError, OwnPod, Readers, Watched};
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::runtime_config::runtime_config;
use crate::store::{NodeState, Store, StoreError};
use crate::{api, health, hubble, range, restore, succession, task};

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot listen on the socket {path}")]
    Socket {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot prepare the datapath")]
    Datapath(#[source] datapath::Error),
    #[error("cannot read the node's interfaces")]
    Links(#[source] datapath::link::Error),
    #[error(transparent)]
    Hubble(#[from] cilium_hubble::ring::CapacityError),
    #[error("cannot lock the deletion queue")]
    Queue(#[source] std::io::Error),
    #[error("cannot wait for signals")]
    Signal(#[source] std::io::Error),
    #[error("{0}")]
    Restart(String),
    #[error("a part of the agent ended: {0}")]
    Part(&'static str),
    #[error("podCIDRs {0:?} have no address left for the node itself")]
    NoRouter(Vec<ipnet::Ipv4Net>),
}

/// What start-up finds out before there is an [`Agent`].
pub(crate) struct Start {
    pub(crate) arguments: Arguments,
    pub(crate) config: Config,
    pub(crate) node: String,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) store: Store,
    pub(crate) progress: Progress,
    pub(crate) boot_id: String,
}

/// Returns when a signal ends the agent; pods keep their network, since programs and maps are pinned.
pub async fn run(arguments: Arguments) -> Result<(), RunError> {
    let config = Config::read(&arguments.config_dir)?;
    logging::start_logfmt(&log_filter(config.debug));
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    let mut tasks = JoinSet::new();
    tokio::select! {
        ended = serve(arguments, config, &mut tasks) => ended,
        _ = terminate.recv() => {
            tracing::info!("Ending on a signal; pods keep their network");
            Ok(())
        }
        _ = interrupt.recv() => Ok(()),
    }
}

async fn serve(
    arguments: Arguments,
    config: Config,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    // First of all: what another agent of this node holds is not to be touched.
    let store = Store::claim(&arguments.runtime_dir.join(runtime::STATE)).await?;
    let progress = Progress::default();
    let metrics = Metrics::new(progress.clone());
    let place = Place {
        config_digest: config.digest.clone(),
        conf_dir: arguments.cni_conf_dir.clone(),
        cgroup_root: cgroup2_root(&arguments.cgroup_root),
    };
    let pages = health::router(progress.clone(), place);
    listen_http(config.health, "health", pages, tasks).await?;
    if let Some(address) = config.metrics {
        let measured = Arc::clone(&metrics);
        let pages = exposition::routes(move || measured.text());
        listen_http(address, "metrics", pages, tasks).await?;
    }
    let node = arguments.node_name()?;
    tracing::info!(
        node,
        version = env!("CARGO_PKG_VERSION"),
        "Cilium agent of GlooNetwork starts"
    );
    let start = Start {
        kubernetes: Kubernetes::connect(arguments.kubeconfig.as_deref(), metrics.calls()).await?,
        store,
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        node,
        arguments,
        config,
        progress,
    };
    let readers = Readers::default();
    let watched = Arc::new(Watched::new(&readers));
    start.kubernetes.watch(&watched, &start.node, tasks);
    let given = range::wait(&start, &watched).await?;
    let agent = build(&start, &watched, &readers, given).await?;
    operate(&start, agent, &readers, metrics, tasks).await
}

/// Which lines are written. The client of the API server logs each failed connection as an error; the watches say once
/// what that means.
pub fn log_filter(debug: bool) -> String {
    let level = if debug { "debug" } else { "info" };
    format!("warn,cilium_agent={level},datapath={level},kube_client=off")
}

async fn listen_http(
    address: SocketAddr,
    purpose: &'static str,
    routes: axum::Router,
    tasks: &mut JoinSet<()>,
) -> Result<(), ListenError> {
    let listener = listener::bind(address, purpose).await?;
    tasks.spawn(listener::run(listener, routes, CancellationToken::new()));
    Ok(())
}

async fn build(
    start: &Start,
    watched: &Arc<Watched>,
    readers: &Readers,
    given: NodeState,
) -> Result<Arc<Agent>, RunError> {
    start.progress.waiting("loading the datapath");
    let settings = datapath_config(start, &given);
    let opened = blocking(move || datapath::Kernel::open(settings)).await;
    let kernel = opened
        .ok_or(RunError::Part("loading the datapath"))?
        .map_err(RunError::Datapath)?;
    let datapath: Arc<dyn Datapath> = Arc::new(kernel);
    let pool = Pool::new(given.pod_cidrs.clone(), given.router);
    let changed = Bells::new(&[
        &readers.network,
        &readers.publish,
        &readers.policy,
        &readers.names,
    ]);
    let nonce = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            since.as_secs() << 20 | u64::from(since.subsec_micros())
        });
    let own = Own {
        name: start.node.clone(),
        ip: given.ip,
        router: given.router,
        pod_cidrs: given.pod_cidrs,
        cluster: start.config.cluster_name.clone(),
        mtu: datapath.pod_mtu(),
        routing: start.config.routing,
        maglev: start.config.maglev,
    };
    tracing::info!(ip = %own.ip, router = %own.router, cidrs = ?own.pod_cidrs, mtu = own.mtu, routing = ?own.routing, "Datapath is loaded");
    let policies = Policies::new(
        datapath.clone(),
        start.store.clone(),
        datapath::MAX_POLICY_ENTRIES,
    )
    .map_err(RunError::Datapath)?;
    let endpoints = Endpoints::new(pool, datapath.clone(), start.store.clone(), changed, nonce);
    Ok(Arc::new(Agent::new(
        own,
        own_pod(start),
        endpoints,
        policies,
        watched.clone(),
        start.kubernetes.clone(),
        datapath,
    )))
}

fn datapath_config(start: &Start, given: &NodeState) -> datapath::Config {
    let pools = if start.config.pools.is_empty() {
        &given.pod_cidrs
    } else {
        &start.config.pools
    };
    datapath::Config {
        bpffs: start.arguments.bpf_root.clone(),
        cgroup_root: cgroup2_root(&start.arguments.cgroup_root),
        node_ip: given.ip,
        router_ip: given.router,
        pod_cidr: given.pod_cidrs.first().copied().unwrap_or_default(),
        native_cidrs: [&pools[..], &start.config.native_ranges].concat(),
        routing: start.config.routing,
        devices: start.config.devices.clone(),
        tunnel_port: start.config.tunnel_port,
        mtu: start.config.mtu,
    }
}

/// Machines with the old cgroups have the new ones mounted one folder below.
fn cgroup2_root(path: &Path) -> PathBuf {
    let unified = path.join("unified");
    if unified.join("cgroup.controllers").exists() {
        unified
    } else {
        path.to_owned()
    }
}

/// Restores, listens, drains, and keeps everything going.
async fn operate(
    start: &Start,
    agent: Arc<Agent>,
    readers: &Readers,
    metrics: Arc<Metrics>,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    let runtime_dir = &start.arguments.runtime_dir;
    restore_endpoints(start, &agent).await?;
    tasks.spawn(task::policy::run(
        agent.clone(),
        readers.policy.clone(),
        readers.node.clone(),
    ));
    tasks.spawn(task::network::run(agent.clone(), readers.network.clone()));
    tasks.spawn(task::services::run(agent.clone(), readers.services.clone()));
    if let Some(address) = start.config.service_health {
        tasks.spawn(task::service_health::run(agent.clone(), address));
    }
    if !agent.datapath.is_active() {
        succeed(start, &agent).await?;
    }
    let folder = runtime_dir.join(runtime::QUEUE);
    let queue = blocking(move || restore::lock_queue(&folder)).await;
    let queue = queue
        .ok_or(RunError::Part("deletion queue"))?
        .map_err(RunError::Queue)?;
    serve_api(&agent, runtime_dir, metrics, tasks)?;
    let worker = agent.clone();
    let drained = blocking(move || restore::drain(&queue, &worker.endpoints)).await;
    if let Some(Ok(number)) = drained.filter(|drained| !matches!(drained, Ok(0))) {
        tracing::info!(
            number,
            "Deletions that were queued while no agent ran are done"
        );
    }
    tasks.spawn(task::flows::run(agent.clone()));
    if let Some(settings) = &start.config.hubble {
        hubble::start(&agent, settings, readers.names.clone(), tasks)?;
    }
    if start.config.health_checking {
        check_health(&agent, readers, tasks);
    }
    tasks.spawn(task::events::run(agent.clone()));
    tasks.spawn(task::publish::run(agent.clone(), readers.publish.clone()));
    tasks.spawn(task::foreign::run(
        agent.clone(),
        start.arguments.cni_conf_dir.clone(),
        runtime_dir.join(runtime::INSTALL_REPORT),
    ));
    start
        .store
        .write_runtime_config(&runtime_config(start.config.health_checking))?;
    start.progress.serving(agent.clone());
    tracing::info!("Agent serves");
    let boot_id = start.boot_id.clone();
    tokio::select! {
        reason = task::node::run(agent.clone(), readers.node.clone(), boot_id) => Err(RunError::Restart(reason)),
        reason = task::sweep::run(agent) => Err(RunError::Restart(reason)),
        // Every task runs for ever: one that ends has panicked, and a new process is the cure.
        _ = tasks.join_next() => Err(RunError::Part("see the panic above")),
    }
}

/// To root of the node, over the agent's socket.
fn serve_api(
    agent: &Arc<Agent>,
    runtime_dir: &Path,
    metrics: Arc<Metrics>,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    let socket = runtime_dir.join(runtime::SOCKET);
    let listener = api::listen(&socket).map_err(|source| RunError::Socket {
        path: socket,
        source,
    })?;
    let router = api::router(agent.clone(), metrics);
    tasks.spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(())
}

/// Of the cluster: from now on this node answers the others, and asks them.
fn check_health(agent: &Arc<Agent>, readers: &Readers, tasks: &mut JoinSet<()>) {
    let health = Arc::new(ClusterHealth::new(&agent.own, Timestamp::now()));
    task::cluster_health::start(agent, &health, readers.cluster_health.clone(), tasks);
    let _ = agent.cluster_health.set(health);
}

async fn succeed(start: &Start, agent: &Arc<Agent>) -> Result<(), RunError> {
    start
        .progress
        .waiting("filling the maps of this version beside the running datapath");
    let watched = agent.watched.clone();
    succession::take_over(
        agent.datapath.clone(),
        move || watched.synced(),
        agent.all_filled(),
    )
    .await
}

async fn restore_endpoints(start: &Start, agent: &Arc<Agent>) -> Result<(), RunError> {
    let worker = agent.clone();
    let store = start.store.clone();
    let restored = blocking(move || {
        let links = Netlink::new().and_then(|mut netlink| netlink.links())?;
        Ok(restore::restore(
            &worker.endpoints,
            store.load(),
            &*worker.datapath,
            &links,
        ))
    });
    let restored = restored
        .await
        .ok_or(RunError::Part("restore"))?
        .map_err(RunError::Links)?;
    for problem in &restored.problems {
        tracing::warn!("{problem}");
    }
    agent.report("state", restore::summary(&start.store.unread()));
    tracing::info!(
        kept = restored.kept,
        "Endpoints of an earlier process are restored"
    );
    Ok(())
}

fn own_pod(start: &Start) -> Option<OwnPod> {
    let arguments = &start.arguments;
    Some(OwnPod {
        namespace: arguments.namespace.clone(),
        name: arguments.pod_name.clone()?,
        uid: arguments.pod_uid.clone().unwrap_or_default(),
        node: start.node.clone(),
    })
}
