//! Accepts connections. One that fails, or that makes no handshake in time, is no concern of the others.

use std::{io, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;

use crate::tls::server::Current;

/// Handshakes that may be under way at once.
const HANDSHAKES: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Accepting fails when descriptors run out; without a pause that would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn unix(
    listener: UnixListener,
    closing: CancellationToken,
) -> impl Stream<Item = io::Result<UnixStream>> {
    accepted(UnixListenerStream::new(listener), closing)
}

pub(super) fn tcp(
    listener: TcpListener,
    closing: CancellationToken,
) -> impl Stream<Item = io::Result<TcpStream>> {
    accepted(TcpListenerStream::new(listener), closing)
}

/// What could be accepted, until `closing`.
fn accepted<C>(
    incoming: impl Stream<Item = io::Result<C>>,
    closing: CancellationToken,
) -> impl Stream<Item = io::Result<C>> {
    let accepted = incoming.filter_map(async |accepted| match accepted {
        Ok(connection) => Some(Ok(connection)),
        Err(error) => {
            failed(&error).await;
            None
        }
    });
    accepted.take_until(Box::pin(closing.cancelled_owned()))
}

/// Handshakes run beside each other, so that one slow client keeps nobody waiting.
pub(super) fn tls(
    listener: TcpListener,
    current: Arc<Current>,
    closing: CancellationToken,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let (ready, connections) = mpsc::channel(HANDSHAKES);
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::spawn(async move {
        let mut accepted = Box::pin(tcp(listener, closing));
        while let Some(Ok(connection)) = accepted.next().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (ready, current) = (ready.clone(), Arc::clone(&current));
            tokio::spawn(async move {
                match handshake(connection, &current).await {
                    // The receiver is gone when the server is, and so is the connection.
                    Ok(connection) => drop(ready.send(Ok(connection)).await),
                    Err(error) => tracing::debug!(%error, "a client of Hubble was refused"),
                }
                drop(place);
            });
        }
    });
    ReceiverStream::new(connections)
}

async fn handshake(connection: TcpStream, current: &Current) -> io::Result<TlsStream<TcpStream>> {
    let _ = connection.set_nodelay(true);
    let acceptor = TlsAcceptor::from(current.config());
    let connection = timeout(HANDSHAKE, acceptor.accept(connection)).await??;
    let (_, session) = connection.get_ref();
    if current.allows(session.peer_certificates().unwrap_or_default()) {
        Ok(connection)
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its certificate has none of the names that may ask",
        ))
    }
}

async fn failed(error: &io::Error) {
    tracing::warn!(%error, "Hubble cannot accept a connection");
    sleep(PAUSE).await;
}
