//! Wires the parts.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use gloo_relay::{
    enrolment::{LONGEST_LIFE, Signer, SignerError},
    server::{self, Limits, Parts},
    tls::{ServerFiles, ServerTls, TlsError},
};
use gloonet_daemon::{
    asking,
    listener::{self, ListenError, bind},
    signals, tasks,
};
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use gloo_relay::telemetry::TelemetrySigner;
use gloo_store::{Fences, Redis, Seal, SealError, Store};

use crate::{
    args::Args, authority, behind, clusters, fences::Fence, flows, health, hub::Server,
    replicas::Replicas, shared::Shared, snapshots, state::State, sync, tokens::Records,
};

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(15);

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot set up the connection to the API server; set KUBECONFIG or run in a pod")]
    Client { source: kube::Error },
    #[error("cannot serve")]
    Serve {
        #[from]
        source: ListenError,
    },
    #[error("cannot use the relay's certificate")]
    Tls {
        #[from]
        source: TlsError,
    },
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot use the authority that signs agents' certificates")]
    Signer {
        #[from]
        source: SignerError,
    },
    #[error("cannot seal what goes to Redis")]
    Seal {
        #[from]
        source: SealError,
    },
    #[error("cannot listen for signals")]
    Signal { source: io::Error },
}

/// Runs until SIGTERM or SIGINT. Streams are told to go elsewhere, and what they said is stored.
pub async fn run(args: Args) -> Result<(), RunError> {
    // Several rustls providers may be linked in; the first to be installed wins, and either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = asking::client()
        .await
        .map_err(|source| RunError::Client { source })?;
    let closing = CancellationToken::new();
    signals::cancel_on_signal(&closing).map_err(|source| RunError::Signal { source })?;
    let tasks = start(&args, &client, &closing).await?;
    closing.cancelled().await;
    tasks::end(tasks, GRACE).await;
    tracing::info!("stopped");
    Ok(())
}

/// Starts everything; the tasks end with `closing`.
pub async fn start(
    args: &Args,
    client: &Client,
    closing: &CancellationToken,
) -> Result<JoinSet<()>, RunError> {
    let state = State::new(args.cluster_name.clone(), args.safe_mode);
    let shared = Shared::new(state, args.pod_name.clone()).within(args.memory_limit);
    let shared = Arc::new(shared);
    let records = Arc::new(Records::new(
        client.clone(),
        shared.metrics.refused_enrolments.clone(),
    ));
    let store = Store::new(Redis::new(&args.redis), Seal::read(&args.store_key)?);
    let hub = Arc::new(Server {
        shared: shared.clone(),
        records: records.clone(),
        fence: Some(fence(args, shared.clone())?),
    });
    let signing = ["tls.crt", "tls.key"].map(|name| args.signing.join(name));
    let authority = [read(signing[0].clone())?, read(signing[1].clone())?];
    let parts = parts(args, hub, records.clone(), &authority)?;
    let bound = bind(args.health_address, "health").await?;
    listener::serve(bound, health::routes(shared.clone()), closing.clone());
    let bound = bind(args.stats_address, "statistics").await?;
    let routes = snapshots::routes(shared.clone(), client.clone());
    listener::serve(bound, routes, closing.clone());
    let relay = bind(args.relay_address, "the relay").await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(authority::watch(signing, authority, closing.clone()));
    let pod_uid = args.pod_uid.clone();
    let replicas = Replicas::new(client.clone(), args.pod_name.clone(), pod_uid);
    tasks.spawn(clusters::run(
        client.clone(),
        shared.clone(),
        records,
        replicas,
        closing.clone(),
    ));
    tasks.spawn(sync::run(shared.clone(), closing.clone()));
    tasks.spawn(flows::run(
        shared.clone(),
        args.prometheus_url.clone(),
        closing.clone(),
    ));
    tasks.spawn(behind::run(shared, store, closing.clone()));
    let ending = closing.clone();
    tasks.spawn(async move {
        if let Err(error) = server::serve(relay, parts, ending.clone()).await {
            tracing::error!(
                error = format!("{:#}", anyhow::Error::new(error)),
                "the relay ended"
            );
            // Without it this process serves nobody; the kubelet starts another.
            ending.cancel();
        }
    });
    tracing::info!(cluster = %args.cluster_name, relay = %args.relay_address, "gloo-mesh-mgmt-server runs");
    Ok(tasks)
}

fn parts(
    args: &Args,
    hub: Arc<Server>,
    records: Arc<Records>,
    [certificate, key]: &[String; 2],
) -> Result<Parts, RunError> {
    let tls = ServerTls::new(ServerFiles {
        certificate: args.tls.join("tls.crt"),
        key: args.tls.join("tls.key"),
        client_authorities: args.signing.join("tls.crt"),
    })?;
    Ok(Parts {
        tls,
        hub,
        tokens: records,
        signer: Arc::new(Signer::new(certificate, key, LONGEST_LIFE)?),
        telemetry: telemetry(args),
        limits: Limits::default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: args.pod_name.clone(),
    })
}

/// Over a connection of its own: what a snapshot takes is no reason to make a stream wait.
fn fence(args: &Args, shared: Arc<Shared>) -> Result<Fence, RunError> {
    let seal = Seal::read(&args.store_key)?;
    let entries = Fences::new(Redis::new(&args.redis), seal, rand::random);
    Ok(Fence::new(entries, shared))
}

fn telemetry(args: &Args) -> Option<TelemetrySigner> {
    Some(TelemetrySigner {
        key: args.telemetry_key.clone()?,
        authority: args.telemetry_authority.clone()?,
    })
}

fn read(path: PathBuf) -> Result<String, RunError> {
    fs::read_to_string(&path).map_err(|source| RunError::File { path, source })
}
