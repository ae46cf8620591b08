//! Serves the API: on a unix socket for the node's own root, and over TCP for a relay.

pub(crate) mod observe;
mod peers;
mod stream;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    about,
    names::Node,
    observer::Observer,
    proto::{observer::observer_server::ObserverServer, peer::peer_server::PeerServer},
    tls::server::ServerFiles,
    transport::{self, REQUEST_BYTES, RESPONSE_BYTES, ServeError},
};
use observe::ObserverService;
use peers::PeerService;

/// Streams that may be open at once, over all connections.
const STREAMS: usize = 256;

/// The services of one node. Clones serve the same events and are closed together.
#[derive(Clone, Debug)]
pub struct Server {
    observer: Arc<Observer>,
    peers: watch::Receiver<Vec<Node>>,
    peer_port: u16,
    streams: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Server {
    /// `peers` is the nodes of the cluster, this one among them, kept current by the agent; their servers listen on
    /// `peer_port`.
    pub fn new(observer: Arc<Observer>, peers: watch::Receiver<Vec<Node>>, peer_port: u16) -> Self {
        Self {
            observer,
            peers,
            peer_port,
            streams: Arc::new(Semaphore::new(STREAMS)),
            closing: CancellationToken::new(),
        }
    }

    /// Ends all streams, those that follow too, and then the calls of `serve_unix` and `serve_tcp`.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Serves on a socket that only the owner of this process may use, until [`Server::close`]. What an earlier process left at
    /// `path` is taken over.
    pub async fn serve_unix(&self, path: &Path) -> Result<(), ServeError> {
        transport::serve_unix(self.routes(false).await, path, &self.closing).await
    }

    /// Serves over TCP until [`Server::close`], to anybody without `tls`, else to clients of its authority.
    pub async fn serve_tcp(
        &self,
        address: SocketAddr,
        tls: Option<ServerFiles>,
    ) -> Result<(), ServeError> {
        let listener = transport::bind_tcp(address).await?;
        self.serve_listener(listener, tls).await
    }

    /// As [`Server::serve_tcp`], on a listener the caller has.
    pub async fn serve_listener(
        &self,
        listener: TcpListener,
        tls: Option<ServerFiles>,
    ) -> Result<(), ServeError> {
        let routes = self.routes(tls.is_some()).await;
        transport::serve_listener(routes, listener, tls, &self.closing).await
    }

    async fn routes(&self, tls: bool) -> Routes {
        let observer = ObserverServer::new(ObserverService::new(self, tls))
            .max_decoding_message_size(REQUEST_BYTES)
            .max_encoding_message_size(RESPONSE_BYTES);
        let peer =
            PeerServer::new(PeerService::new(self, tls)).max_decoding_message_size(REQUEST_BYTES);
        let routes = Routes::new(observer).add_service(peer);
        let routes = about::add(routes, about::serving().await);
        about::tell_version(routes, about::SERVER_VERSION, self.observer.version())
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
