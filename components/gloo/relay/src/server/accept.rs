//! Accepts connections. Who makes no handshake in time, or many at once, is no concern of the others.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::Stream;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    connection::{Connection, Remote, Stranger},
};
use crate::tls::ServerTls;

/// Accepting fails when descriptors run out; without a pause that would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Handshakes under way and connections without a certificate, by address.
type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A place among those of its address; given back when dropped.
pub(super) struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Place {
    fn take(addresses: &Addresses, address: IpAddr, most: usize) -> Option<Self> {
        let mut counts = addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            addresses: addresses.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Connections whose handshake is done, until `closing`.
pub(super) fn connections(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    limits: Limits,
    closing: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(64);
    let places = Arc::new(Semaphore::new(limits.connections));
    let strangers = Arc::new(Semaphore::new(limits.strangers));
    let (addresses, visitors) = (Addresses::default(), Addresses::default());
    tokio::spawn(async move {
        let mut accepted = 0_u64;
        while let Some(result) = closing.run_until_cancelled(listener.accept()).await {
            let (stream, address) = match result {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(%error, accepted, "the relay cannot accept a connection");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            accepted += 1;
            // A connection above the limits is closed unread: answering would cost what the limit saves.
            let Ok(room) = places.clone().try_acquire_owned() else {
                continue;
            };
            let most = limits.strangers_per_address;
            let Some(place) = Place::take(&addresses, address.ip(), most) else {
                continue;
            };
            let held = Held {
                room,
                _place: place,
                strangers: strangers.clone(),
                visitors: visitors.clone(),
            };
            let (ready, tls) = (ready.clone(), tls.clone());
            tokio::spawn(async move {
                match handshake(stream, address, &tls, limits, held).await {
                    // The receiver is gone when the server is, and so is the connection.
                    Ok(connection) => drop(ready.send(Ok(connection)).await),
                    Err(error) => {
                        tracing::debug!(%error, %address, "a client of the relay was refused");
                    }
                }
            });
        }
    });
    ReceiverStream::new(connections)
}

/// What a connection comes to its handshake with.
struct Held {
    room: OwnedSemaphorePermit,
    /// Of its address, among handshakes.
    _place: Place,
    strangers: Arc<Semaphore>,
    /// Connections without a certificate, by address.
    visitors: Addresses,
}

async fn handshake(
    stream: TcpStream,
    address: SocketAddr,
    tls: &ServerTls,
    limits: Limits,
    held: Held,
) -> io::Result<Connection> {
    let _ = stream.set_nodelay(true);
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = timeout(limits.handshake, acceptor.accept(stream)).await??;
    let remote = Remote::of(&stream, address);
    // A stranger needs a place among strangers, and one of its address, and keeps them to its end: who finishes handshakes fast would
    // have every room soon, and agents none. They are others than those of handshakes, since agents may share the address.
    let stranger = if remote.peer.is_some() {
        None
    } else {
        let among = held.strangers.try_acquire_owned();
        let among = among.map_err(|_| io::Error::other("too many without a certificate"))?;
        let own = Place::take(&held.visitors, address.ip(), limits.strangers_per_address);
        let own = own.ok_or_else(|| io::Error::other("too many of one address without one"))?;
        Some(Stranger::new(limits.anonymous, (among, own)))
    };
    Ok(Connection::new(stream, remote, stranger, held.room))
}
