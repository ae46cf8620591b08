//! The server's end: accepts agents, enrols clusters, keeps one stream per cluster.
//!
//! What the streams carry goes to a [`Hub`]; what tokens are good for is asked of [`Tokens`].

mod accept;
mod connection;
mod enrol;
mod fences;
mod limits;
mod rate;
mod relay;
mod stream;

pub use enrol::{Stored, Tokens};
pub use fences::fenced;
pub use limits::Limits;

use std::sync::Arc;

use gloo_api::ClusterName;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::telemetry::TelemetrySigner;
use crate::{
    enrolment::Signer,
    proto::{
        Ack, Hello, Refused, Results, enrolment_server::EnrolmentServer, refused::Code,
        relay_server::RelayServer,
    },
    session::Claim,
    table::{Changes, HARD_BYTES, Incoming, Source},
    tls::{Peer, ServerTls},
};
use enrol::EnrolmentService;
use fences::Fences;
use rate::Rate;
use relay::RelayService;

/// A message is a frame and little else. A frame that compression made longer than it was is still below this.
pub(crate) const MESSAGE_BYTES: usize = HARD_BYTES + (64 << 10);

/// What is known of a cluster that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never registered, or was deregistered.
    Unknown,
    Known {
        /// Certificates of an older epoch are revoked.
        epoch: u64,
        /// The UID the cluster was enrolled with; `None`: nobody has enrolled since it was registered.
        cluster_uid: Option<String>,
    },
}

/// One agent's stream. Of two streams of a cluster the later has the higher number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub id: u64,
    pub cluster: ClusterName,
    pub claim: Claim,
}

/// What a stream is served with.
#[derive(Debug)]
pub struct Admission {
    /// What is known of the cluster from before; spares a full snapshot when it is still so.
    pub held: Incoming,
    /// What the cluster is to have. `None` as long as that is not known: nothing is sent.
    pub desired: watch::Receiver<Option<Source>>,
    /// Ends the stream with these words once it is not `None`.
    pub end: watch::Receiver<Option<Refused>>,
}

/// Where the streams lead. Calls of one stream come one after the other; a call that waits makes that agent wait, nobody else.
#[tonic::async_trait]
pub trait Hub: Send + Sync + 'static {
    async fn standing(&self, cluster: &ClusterName) -> Standing;
    /// The stream before, if there was one, has been told `closed`, unless that took too long.
    async fn admit(
        &self,
        stream: &Stream,
        peer: &Peer,
        hello: &Hello,
    ) -> Result<Admission, Refused>;
    /// What the cluster has, changed so. The first call of a stream warms it.
    async fn observed(&self, stream: &Stream, changes: Changes, full: bool);
    /// Whether the stream is still its cluster's; asked from time to time as long as it is open. Other replicas may have let another
    /// agent in.
    async fn holds(&self, _stream: &Stream) -> Result<(), Refused> {
        Ok(())
    }
    async fn acked(&self, stream: &Stream, ack: Ack);
    async fn results(&self, stream: &Stream, results: Results);
    async fn closed(&self, stream: &Stream, why: String);
    /// An agent with a certificate of the cluster was told so, and is not served.
    fn refused(&self, _cluster: &ClusterName, _why: Code) {}
}

/// What the server is made of.
pub struct Parts {
    pub tls: Arc<ServerTls>,
    pub hub: Arc<dyn Hub>,
    pub tokens: Arc<dyn Tokens>,
    pub signer: Arc<Signer>,
    /// `None`: there is no telemetry gateway.
    pub telemetry: Option<TelemetrySigner>,
    pub limits: Limits,
    pub version: String,
    /// Which replica this is.
    pub instance: String,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Parts")
            .field("limits", &self.limits)
            .field("version", &self.version)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// The server ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the relay server ended")]
pub struct ServeError {
    #[from]
    source: tonic::transport::Error,
}

/// Serves until `closing`; then tells every agent, and ends within [`Limits::grace`].
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    closing: CancellationToken,
) -> Result<(), ServeError> {
    let limits = parts.limits;
    tokio::spawn({
        let (tls, closing) = (parts.tls.clone(), closing.clone());
        async move { tls.watch(closing).await }
    });
    let incoming = accept::connections(listener, parts.tls.clone(), limits, closing.clone());
    let enrolment = EnrolmentService {
        hub: parts.hub.clone(),
        tokens: parts.tokens,
        signer: parts.signer,
        telemetry: parts.telemetry,
        rate: Rate::new(limits.enrolments, limits.enrolments_every),
    };
    let relay = RelayService {
        hub: parts.hub,
        fences: Arc::new(Fences::default()),
        version: parts.version.into(),
        instance: parts.instance.into(),
        closing: closing.clone(),
    };
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_keepalive_interval(Some(limits.keepalive))
        .http2_keepalive_timeout(Some(limits.keepalive))
        .http2_max_header_list_size(16 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .tcp_nodelay(true)
        .add_service(
            RelayServer::new(relay)
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
        )
        .add_service(EnrolmentServer::new(enrolment).max_decoding_message_size(16 << 10))
        .serve_with_incoming_shutdown(incoming, closing.cancelled());
    let grace = async {
        closing.cancelled().await;
        tokio::time::sleep(limits.grace).await;
    };
    tokio::select! {
        result = serving => Ok(result?),
        () = grace => Ok(()),
    }
}

#[cfg(test)]
mod tests;
