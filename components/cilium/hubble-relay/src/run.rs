//! Wires the parts and runs until it is told to stop.

use std::{io, sync::Arc, time::Duration};

use cilium_hubble::{
    about,
    proto::observer::observer_server::ObserverServer,
    tls::{TlsError, client::ClientTls},
    transport::{self, REQUEST_BYTES, RESPONSE_BYTES, ServeError},
};
use gloonet_daemon::{
    error::chain,
    listener::{self, ListenError},
    signals, tasks,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::{
    args::{Args, ArgsError, Listen},
    budget::Budget,
    dial::{Dialer, Security, Target},
    flows::Settings,
    health,
    merge::Sorting,
    notify::{self, Told},
    pool::Pool,
    service::Relay,
};

/// How long a node may be silent when it only has to hand over what it has. One whose connection is lost is noticed otherwise.
const STALLED: Duration = Duration::from_secs(30);
/// How long streams may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(8);

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot use the arguments")]
    Args {
        #[from]
        source: ArgsError,
    },
    #[error("cannot use the certificate for nodes")]
    Tls { source: TlsError },
    #[error("cannot serve")]
    Listen {
        #[from]
        source: ListenError,
    },
    #[error("cannot serve clients")]
    Serve { source: ServeError },
    #[error("cannot listen for signals")]
    Signal { source: io::Error },
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), RunError> {
    // Several rustls providers may be linked in; the first to be installed wins, and either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    signals::cancel_on_signal(&stop).map_err(|source| RunError::Signal { source })?;
    let security = match args.client_files()? {
        Some(files) => {
            Security::Mutual(ClientTls::new(files).map_err(|source| RunError::Tls { source })?)
        }
        None => Security::Loopback,
    };
    let mut tasks = JoinSet::new();
    let relay = start(&args, security, &stop, &mut tasks);
    let pages = listener::bind(args.health_listen_address, "health").await?;
    listener::serve(pages, health::routes(relay.clone()), stop.clone());
    let pages = listener::bind(args.metrics_listen_address, "metrics").await?;
    listener::serve(pages, health::statistics(relay.clone()), stop.clone());
    let served = serve(&args, relay, &stop, &mut tasks).await;
    stop.cancel();
    tasks::end(tasks, GRACE).await;
    tracing::info!("stopped");
    served
}

/// Learns the nodes and connects to them, until `stop`.
pub fn start(
    args: &Args,
    security: Security,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Relay {
    let dialer = Arc::new(Dialer::new(security));
    let pool = Arc::new(Pool::new(dialer.clone()));
    let told = watch::Sender::new(Told::default());
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let relay = Relay {
        nodes: pool.nodes(),
        told: told.subscribe(),
        settings: Settings {
            sorting: Sorting {
                capacity: count(args.sort_buffer_len_max),
                wait: args.sort_buffer_drain_timeout,
            },
            window: args.error_aggregation_window,
            budget: Budget::new(count(args.max_buffered_flows)),
            stalled: STALLED,
        },
        streams: Arc::new(Semaphore::new(count(args.max_streams))),
        answered: Arc::default(),
        closing: stop.clone(),
    };
    let target = Target {
        address: args.peer_service.clone(),
        server_name: Some(args.peer_server_name()),
    };
    tasks.spawn(notify::follow(target, dialer, pool, told, stop.clone()));
    relay
}

/// Serves clients until `stop`.
async fn serve(
    args: &Args,
    relay: Relay,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), RunError> {
    let failed = |source| RunError::Serve { source };
    let reporter = HealthReporter::new();
    tasks.spawn(health::keep(reporter.clone(), relay.clone()));
    let routes = routes(relay, reporter);
    tracing::info!(
        listen = ?args.listen_address,
        peers = args.peer_service,
        version = env!("CARGO_PKG_VERSION"),
        "hubble-relay serves"
    );
    let served = match &args.listen_address {
        Listen::Socket(path) => transport::serve_unix(routes, path, stop).await,
        Listen::Port(address) => {
            let files = args.server_files(*address)?;
            let listener = transport::bind_tcp(*address).await.map_err(failed)?;
            transport::serve_listener(routes, listener, files, stop).await
        }
    };
    if let Err(error) = &served {
        tracing::error!(error = chain(error), "clients are served no longer");
    }
    served.map_err(failed)
}

/// What clients are served: flows, health and reflection.
pub fn routes(relay: Relay, reporter: HealthReporter) -> Routes {
    let observer = ObserverServer::new(relay)
        .max_decoding_message_size(REQUEST_BYTES)
        .max_encoding_message_size(RESPONSE_BYTES);
    let routes = about::add(Routes::new(observer), reporter);
    about::tell_version(routes, about::RELAY_VERSION, cilium_hubble::CILIUM)
}
