//! Serves the API: on a unix socket for the node's own root, and over TCP for a relay.

mod health;
mod listen;
mod observe;
mod peers;
mod stream;
pub mod tls;

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::Stream;
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    sync::{Semaphore, watch},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::server::{Connected, Router},
};

use crate::{
    names::Node,
    observer::Observer,
    proto::{observer::observer_server::ObserverServer, peer::peer_server::PeerServer},
};
use observe::ObserverService;
use peers::PeerService;
use tls::{TlsError, TlsFiles, Watched};

/// Streams that may be open at once, over all connections.
const STREAMS: usize = 256;
const STREAMS_PER_CONNECTION: u32 = 128;
/// A request is filters; a mebibyte of them is more than a person writes.
const REQUEST_BYTES: usize = 1 << 20;
const RESPONSE_BYTES: usize = 4 << 20;
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long connections may take to end after [`Server::close`].
const GRACE: Duration = Duration::from_secs(5);

/// Why the API is not, or no longer, served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {path}: another server answers there; stop it first")]
    Taken { path: PathBuf },
    #[error("cannot listen on {path}: something that is no socket is there; move it away")]
    NoSocket { path: PathBuf },
    #[error("cannot listen on {path}")]
    Unix { path: PathBuf, source: io::Error },
    #[error("cannot listen on {address}")]
    Tcp {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot serve Hubble over TLS")]
    Tls { source: TlsError },
    #[error("the Hubble server ended")]
    Ended { source: tonic::transport::Error },
}

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
        let listener = bind_unix(path).await?;
        let result = self
            .serve(listen::unix(listener, self.closing.clone()), false)
            .await;
        // Left behind it would only be a stale socket for the next one.
        let _ = std::fs::remove_file(path);
        result
    }

    /// Serves over TCP until [`Server::close`], to anybody without `tls`, else to clients of its authority.
    pub async fn serve_tcp(
        &self,
        address: SocketAddr,
        tls: Option<TlsFiles>,
    ) -> Result<(), ServeError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError::Tcp { address, source })?;
        self.serve_listener(listener, tls).await
    }

    /// As [`Server::serve_tcp`], on a listener the caller has.
    pub async fn serve_listener(
        &self,
        listener: TcpListener,
        tls: Option<TlsFiles>,
    ) -> Result<(), ServeError> {
        match tls {
            None => {
                self.serve(listen::tcp(listener, self.closing.clone()), false)
                    .await
            }
            Some(files) => {
                let watched = Watched::new(files).map_err(|source| ServeError::Tls { source })?;
                let current = watched.current();
                tokio::spawn(watched.run(self.closing.clone()));
                self.serve(listen::tls(listener, current, self.closing.clone()), true)
                    .await
            }
        }
    }

    async fn serve<IO>(
        &self,
        incoming: impl Stream<Item = io::Result<IO>>,
        tls: bool,
    ) -> Result<(), ServeError>
    where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let serving = self
            .router(tls)
            .await
            .serve_with_incoming_shutdown(incoming, self.closing.cancelled());
        let grace = async {
            self.closing.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = serving => result.map_err(|source| ServeError::Ended { source }),
            () = grace => Ok(()),
        }
    }

    async fn router(&self, tls: bool) -> Router {
        let observer = ObserverServer::new(ObserverService::new(self, tls))
            .max_decoding_message_size(REQUEST_BYTES)
            .max_encoding_message_size(RESPONSE_BYTES);
        let peer =
            PeerServer::new(PeerService::new(self, tls)).max_decoding_message_size(REQUEST_BYTES);
        let routes = health::add(Routes::new(observer).add_service(peer)).await;
        tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .tcp_nodelay(true)
            .add_routes(routes)
    }
}

/// Bound beside `path` and moved there, so that the socket is never there with more than its owner's rights.
async fn bind_unix(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |source| ServeError::Unix {
        path: path.to_owned(),
        source,
    };
    clear_stale(path).await?;
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)?;
    Ok(listener)
}

/// Nobody answers on a stale socket. Everything else at `path` is somebody's.
async fn clear_stale(path: &Path) -> Result<(), ServeError> {
    use std::os::unix::fs::FileTypeExt;
    let failed = |source| ServeError::Unix {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ServeError::NoSocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(ServeError::Taken {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
