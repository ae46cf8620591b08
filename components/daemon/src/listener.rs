//! Listeners for the kubelet, Prometheus and people: plain HTTP/1.1, no authentication.
//!
//! Whoever reaches the port may ask, so what one asker and all together can take up is bounded.

mod places;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use places::Places;

/// Bytes of a request's head. Ours have some hundred; a head is all that is kept of a request.
const HEAD_MAX: usize = 16 << 10;
/// For the head of the next request, however slowly it comes. Less than the pause of a scraper: a connection that nobody uses
/// holds no place.
const HEAD: Duration = Duration::from_secs(10);
/// For a whole connection: who reads its answer slowly does not keep it for ever.
const LIFE: Duration = Duration::from_mins(2);
/// For the answer that is under way when a connection is to end.
const GRACE: Duration = Duration::from_secs(10);
/// Accepting fails when descriptors run out; without a pause that would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a listener could not be opened: the address is taken, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}")]
pub struct ListenError {
    pub address: SocketAddr,
    pub purpose: &'static str,
    pub source: io::Error,
}

/// Opens a listener.
pub async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ListenError {
        address,
        purpose,
        source,
    })
}

/// Serves until `stop`, beside the caller.
pub fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    tokio::spawn(run(listener, routes, stop));
}

/// Serves until `stop`.
pub async fn run(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let accepting = accept(&listener, &routes, &stop);
    stop.run_until_cancelled(accepting).await;
}

async fn accept(listener: &TcpListener, routes: &Router, stop: &CancellationToken) -> Infallible {
    let places = Places::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Who finds no place is closed at once. Left to wait, strangers would stand before the kubelet.
        let own = stream.local_addr();
        let Some(place) = own.ok().and_then(|own| places.take(peer.ip(), own.ip())) else {
            continue;
        };
        let answering = answer(stream, routes.clone(), stop.clone());
        tokio::spawn(async move {
            answering.await;
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| routes.clone().oneshot(request));
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // What a connection ended with is the asker's matter.
        _ended = connection.as_mut() => return,
        () = sleep(LIFE) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = timeout(GRACE, connection).await;
}

#[cfg(test)]
mod tests;
