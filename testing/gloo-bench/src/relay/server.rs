//! The management server of the measurement, in this process.

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use gloo_api::ClusterName;
use gloo_mesh_mgmt_server::{
    hub,
    shared::Shared,
    state::{Registration, State},
    sync,
    tokens::Records,
};
use gloo_relay::{
    enrolment::{EnrolError, LONGEST_LIFE, Signer},
    fixture,
    proto::{Ack, Hello, Refused, Results},
    server::{self, Admission, Hub, Limits, Parts, Standing, Stored, Stream, Tokens},
    table::Changes,
    tls::{Peer, ServerFiles, ServerTls},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

/// Name in the server's certificate.
pub(super) const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";
pub(super) const UID: &str = "of-the-measurement";

/// Memory of the server's pod, of which clusters may have a quarter: as large as who manages 100 of such clusters sets it.
const MEMORY_LIMIT: usize = 8 << 30;

/// Name of a cluster.
pub(super) fn name(number: usize) -> Result<ClusterName> {
    format!("cluster-{number}")
        .parse()
        .context("a cluster's name")
}

/// The product's hub, except that every cluster is known and there is no API server to ask.
struct Known {
    hub: hub::Server,
}

#[tonic::async_trait]
impl Hub for Known {
    async fn standing(&self, _: &ClusterName) -> Standing {
        Standing::Known {
            epoch: 0,
            cluster_uid: Some(UID.to_owned()),
        }
    }

    async fn admit(
        &self,
        stream: &Stream,
        peer: &Peer,
        hello: &Hello,
    ) -> Result<Admission, Refused> {
        self.hub.admit(stream, peer, hello).await
    }

    async fn observed(&self, stream: &Stream, changes: Changes, full: bool) {
        self.hub.observed(stream, changes, full).await;
    }

    async fn acked(&self, stream: &Stream, ack: Ack) {
        self.hub.acked(stream, ack).await;
    }

    async fn results(&self, stream: &Stream, results: Results) {
        self.hub.results(stream, results).await;
    }

    async fn closed(&self, stream: &Stream, why: String) {
        self.hub.closed(stream, why).await;
    }
}

/// Nobody enrols.
struct NoTokens(AtomicU64);

#[tonic::async_trait]
impl Tokens for NoTokens {
    async fn read(&self, _: &ClusterName) -> Result<Option<Stored>, Box<dyn Error + Send + Sync>> {
        Ok(None)
    }

    async fn store(
        &self,
        _: &ClusterName,
        _: Stored,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        Ok(false)
    }

    async fn refused(&self, _: &ClusterName, _: EnrolError) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The server, and the files agents need.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) files: tempfile::TempDir,
    shared: Arc<Shared>,
    clusters: usize,
    _runtime: Runtime,
}

impl Server {
    pub(super) fn start(clusters: usize) -> Result<Self> {
        // Several rustls providers may be linked in; whichever is installed first serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().context("a runtime")?;
        let files = tempfile::tempdir().context("a folder for certificates")?;
        let shared = Shared::new(state(clusters)?, "server".to_owned());
        let shared = Arc::new(shared.within(Some(MEMORY_LIMIT)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let parts = runtime.block_on(async { parts(files.path(), shared.clone()) })?;
        let closing = CancellationToken::new();
        runtime.spawn(sync::run(shared.clone(), closing.clone()));
        runtime.spawn(server::serve(listener, parts, closing));
        Ok(Self {
            address,
            files,
            shared,
            clusters,
            _runtime: runtime,
        })
    }

    /// As after a restart without Redis: the clusters are registered and nothing else is known. Streams that are open go on
    /// being served, so the next thing to happen must be that all end.
    pub(super) fn forget(&self) {
        if let Ok(state) = state(self.clusters) {
            *self.shared.state() = state;
        }
    }
}

fn state(clusters: usize) -> Result<State> {
    let mut state = State::new(name(0)?, true);
    for number in 0..clusters {
        let registration = Registration {
            enrolled: true,
            ..Registration::default()
        };
        state.register(&name(number)?, Some(registration));
    }
    Ok(state)
}

fn parts(files: &Path, shared: Arc<Shared>) -> Result<Parts> {
    let servers = fixture::authority("servers");
    let clients = fixture::authority("clients");
    let (certificate, key) = fixture::server(&servers, AUTHORITY);
    let write = |name: &str, text: &str| {
        let path = files.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        anyhow::Ok(path)
    };
    let tls = ServerTls::new(ServerFiles {
        certificate: write("tls.crt", &certificate)?,
        key: write("tls.key", &key)?,
        client_authorities: write("clients.crt", &clients.0)?,
    })?;
    write("clients.key", &clients.1)?;
    write("servers.crt", &servers.0)?;
    // Nobody is asked at this address; the hub wants a client all the same.
    let nowhere = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse()?))?;
    let records = Arc::new(Records::new(
        nowhere,
        shared.metrics.refused_enrolments.clone(),
    ));
    Ok(Parts {
        tls,
        hub: Arc::new(Known {
            hub: hub::Server {
                shared,
                records,
                fence: None,
            },
        }),
        tokens: Arc::new(NoTokens(AtomicU64::new(0))),
        signer: Arc::new(Signer::new(&clients.0, &clients.1, LONGEST_LIFE)?),
        telemetry: None,
        limits: Limits::default(),
        version: "bench".to_owned(),
        instance: "server".to_owned(),
    })
}
