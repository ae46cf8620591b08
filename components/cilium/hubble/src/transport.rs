//! Serves gRPC on a socket or a port until told to stop. A node's server and a relay do it alike.

mod accept;
mod unix;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::server::Connected};

use crate::tls::{
    TlsError,
    server::{ServerFiles, Watched},
};
pub(crate) use unix::bind_unix;

const STREAMS_PER_CONNECTION: u32 = 128;
/// A request is filters; a mebibyte of them is more than a person writes.
pub const REQUEST_BYTES: usize = 1 << 20;
pub const RESPONSE_BYTES: usize = 4 << 20;
/// How often a silent peer is asked whether it is there, and how long it may take to answer.
pub const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long connections may take to end after `closing`.
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

/// Listens on a port.
pub async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Tcp { address, source })
}

/// Serves on a socket that only the owner of this process may use, until `closing`. What an earlier process left at `path` is
/// taken over.
pub async fn serve_unix(
    routes: Routes,
    path: &Path,
    closing: &CancellationToken,
) -> Result<(), ServeError> {
    let listener = bind_unix(path).await?;
    let result = serve(routes, accept::unix(listener, closing.clone()), closing).await;
    // Left behind it would only be a stale socket for the next one.
    let _ = std::fs::remove_file(path);
    result
}

/// Serves over TCP until `closing`, to anybody without `tls`, else to those it allows.
pub async fn serve_listener(
    routes: Routes,
    listener: TcpListener,
    tls: Option<ServerFiles>,
    closing: &CancellationToken,
) -> Result<(), ServeError> {
    let Some(files) = tls else {
        return serve(routes, accept::tcp(listener, closing.clone()), closing).await;
    };
    let watched = Watched::new(files).map_err(|source| ServeError::Tls { source })?;
    let current = watched.current();
    tokio::spawn(watched.run(closing.clone()));
    let incoming = accept::tls(listener, current, closing.clone());
    serve(routes, incoming, closing).await
}

async fn serve<IO>(
    routes: Routes,
    incoming: impl Stream<Item = io::Result<IO>>,
    closing: &CancellationToken,
) -> Result<(), ServeError>
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
{
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .tcp_nodelay(true)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, closing.cancelled());
    let grace = async {
        closing.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = serving => result.map_err(|source| ServeError::Ended { source }),
        () = grace => Ok(()),
    }
}
