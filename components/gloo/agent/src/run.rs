//! Wires the parts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt;
use gloo_api::names;
use gloo_relay::{
    client::{self, Server, Status},
    session::{AgentFacts, Backoff},
};
use gloonet_daemon::watching::{Pauses, interrupted};
use gloonet_daemon::{asking, listener::ListenError, signals, tasks};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    args::Args,
    control::Control,
    health::{self, View},
    identity::Keeper,
    observed::Observed,
    reconcile::Reconciler,
    secrets::Secrets,
    telemetry::TelemetryKeeper,
    watch as watches,
};

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(5);

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
) -> Result<JoinSet<()>, ListenError> {
    let mut tasks = JoinSet::new();
    let observed = Arc::new(Observed::new(args.cluster_name.as_str()));
    let (control, said) = watch::channel(None);
    let reconciler = Arc::new(Reconciler::new(
        client.clone(),
        args.cluster_name.as_str(),
        observed.clone(),
        said,
    ));
    let status = watch::Sender::new(Status::new());
    let trouble = watch::Sender::new(None);
    let view = View {
        server: args.relay_address.clone(),
        status: status.subscribe(),
        report: reconciler.report(),
        trouble: trouble.subscribe(),
        observed: observed.clone(),
    };
    health::start(args.health_address, args.metrics_address, view, closing).await?;
    tracing::info!(cluster = %args.cluster_name, server = args.relay_address, "gloo-mesh-agent runs");
    watches::start(client, &observed, closing, &mut tasks);
    tasks.spawn(until(
        closing.clone(),
        follow_control(client.clone(), control),
    ));
    tasks.spawn({
        let (reconciler, status, closing) =
            (reconciler.clone(), status.subscribe(), closing.clone());
        async move { reconciler.watch(status, closing).await }
    });
    let relay = connect(
        args.clone(),
        client.clone(),
        observed,
        reconciler,
        status,
        trouble,
        closing.clone(),
    );
    tasks.spawn(until(closing.clone(), relay));
    Ok(tasks)
}

async fn until(closing: CancellationToken, task: impl Future<Output = ()>) {
    let _ = closing.run_until_cancelled(task).await;
}

/// The relay: the certificate, and the stream with it.
async fn connect(
    args: Args,
    client: Client,
    observed: Arc<Observed>,
    reconciler: Arc<Reconciler>,
    status: watch::Sender<Status>,
    trouble: watch::Sender<Option<String>>,
    closing: CancellationToken,
) {
    let cluster_uid = cluster_uid(&client, &trouble).await;
    let server = Server {
        address: args.relay_address.clone(),
        authority: args.relay_authority.clone(),
    };
    let credentials = watch::Sender::new(None);
    let received = credentials.subscribe();
    let revoked = watch::Sender::new(None);
    let secrets = Secrets::new(client);
    let telemetry = TelemetryKeeper {
        secrets: secrets.clone(),
        server: server.clone(),
        credentials: received.clone(),
    };
    let keeper = Keeper {
        secrets,
        server: server.clone(),
        cluster: args.cluster_name.clone(),
        cluster_uid: cluster_uid.clone(),
        credentials,
        revoked: revoked.subscribe(),
        trouble,
    };
    let parts = client::Parts {
        server,
        facts: facts(&args, cluster_uid),
        credentials: received,
        observed: observed.source(),
        results: reconciler.results(),
        status,
        revoked,
        local: reconciler,
    };
    let telemetry = async {
        if args.telemetry {
            telemetry.run(closing.clone()).await;
        }
    };
    tokio::join!(
        keeper.run(closing.clone()),
        telemetry,
        client::run(parts, closing.clone())
    );
}

/// Two processes never have the same instance, even in one pod.
fn facts(args: &Args, cluster_uid: String) -> AgentFacts {
    let started = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = started.unwrap_or_default().as_millis();
    AgentFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster_uid,
        instance: format!("{}/{:08x}", args.pod_name, rand::random::<u32>()),
        started_ms: i64::try_from(started).unwrap_or(i64::MAX),
        capabilities: vec!["status".to_owned()],
    }
}

/// The UID of the namespace kube-system stands for the cluster. Asked for until it is known.
async fn cluster_uid(client: &Client, trouble: &watch::Sender<Option<String>>) -> String {
    let namespaces = Api::<Namespace>::all(client.clone());
    let mut backoff = Backoff::default();
    loop {
        match namespaces.get("kube-system").await {
            Ok(namespace) => return namespace.metadata.uid.unwrap_or_default(),
            Err(error) => {
                let words = format!("cannot read the UID of namespace kube-system: {error}");
                tracing::warn!(reason = words, "the relay waits");
                trouble.send_replace(Some(words));
                tokio::time::sleep(backoff.pause(rand::random())).await;
            }
        }
    }
}

/// A ConfigMap that is not there is a word, too: the switch is off.
async fn follow_control(client: Client, control: watch::Sender<Option<Control>>) {
    let api = Api::<ConfigMap>::namespaced(client, names::NAMESPACE);
    let only = format!("metadata.name={}", names::CONTROL);
    let config = watcher::Config::default().fields(&only);
    let mut events = watcher(api, config).backoff(Pauses::default()).boxed();
    let mut listed = false;
    while let Some(event) = events.next().await {
        let said = match event {
            Ok(Event::Init) => {
                listed = false;
                continue;
            }
            Ok(Event::InitApply(map) | Event::Apply(map)) => {
                listed = true;
                Control::read(&map.data.unwrap_or_default())
            }
            Ok(Event::InitDone) if listed => continue,
            Ok(Event::InitDone | Event::Delete(_)) => Control::default(),
            Err(error) => {
                interrupted("ConfigMap", &error);
                continue;
            }
        };
        if control.borrow().as_ref() != Some(&said) {
            tracing::info!(?said, "the local administrator was heard");
            control.send_replace(Some(said));
        }
    }
}
