//! One TLS connection, and who is at its other end.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::accept::Place;
use crate::tls::{Peer, PeerError};

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) address: SocketAddr,
    /// `None` without a client certificate.
    pub(super) peer: Option<Result<Peer, PeerError>>,
}

impl Remote {
    pub(super) fn of(stream: &TlsStream<TcpStream>, address: SocketAddr) -> Self {
        let chain = stream.get_ref().1.peer_certificates();
        let peer = chain
            .and_then(|chain| chain.first())
            .map(|leaf| Peer::of(leaf));
        Self { address, peer }
    }
}

/// What bounds a connection without a certificate.
pub(super) struct Stranger {
    /// When it ends.
    end: Pin<Box<Sleep>>,
    /// Among all strangers, and among those of its address; given back with the connection.
    _places: (OwnedSemaphorePermit, Place),
}

impl Stranger {
    pub(super) fn new(life: Duration, places: (OwnedSemaphorePermit, Place)) -> Self {
        Self {
            end: Box::pin(tokio::time::sleep(life)),
            _places: places,
        }
    }
}

/// A connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    remote: Remote,
    /// `None` with a certificate.
    stranger: Option<Stranger>,
    /// Given back with the connection.
    _room: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        remote: Remote,
        stranger: Option<Stranger>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            remote,
            stranger,
            _room: room,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Remote;

    fn connect_info(&self) -> Remote {
        self.remote.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(stranger) = &mut self.stranger
            && stranger.end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
