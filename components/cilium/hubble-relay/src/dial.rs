//! One connection to one Hubble server.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use cilium_hubble::{
    about,
    tls::client::ClientTls,
    transport::{KEEPALIVE, RESPONSE_BYTES},
};
use gloonet_daemon::error::chain;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::service_fn;

/// How long each step to a connection may take.
const STEP: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const WINDOW: u32 = 1 << 18;

/// How servers are spoken to.
#[derive(Debug)]
pub enum Security {
    /// Over mutual TLS. A server without TLS is not spoken to.
    Mutual(ClientTls),
    /// Without TLS, and with loopback addresses only.
    Loopback,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// The name its certificate must have.
    pub server_name: Option<String>,
}

/// A connection that was used once, successfully.
#[derive(Debug)]
pub struct Connection {
    pub channel: Channel,
    /// Cancelled when it ends. The channel does not connect again by itself.
    pub lost: CancellationToken,
}

/// Why a server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("its address is not known yet; its agent says so when it has one")]
    NoAddress,
    #[error("cannot connect to {address}")]
    Connect { address: String, source: io::Error },
    #[error("{address} serves without TLS, and is not asked so; set hubble-tls-* on its agent")]
    NoTls { address: String },
    #[error(
        "{address} is no loopback address, and is not asked without TLS; give --tls-hubble-client-cert-file and its key"
    )]
    NotLoopback { address: String },
    #[error("{name:?}, the name of {address}, is none a certificate can have")]
    Name { address: String, name: String },
    #[error("cannot agree on TLS with {address} as {name}")]
    Handshake {
        address: String,
        name: String,
        source: io::Error,
    },
    #[error("cannot speak HTTP/2 with {address}")]
    Protocol {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("{address} does not answer as a Hubble server: {reason}")]
    Answer { address: String, reason: String },
}

/// Makes connections.
#[derive(Debug)]
pub struct Dialer {
    security: Security,
}

impl Dialer {
    pub fn new(security: Security) -> Self {
        Self { security }
    }

    /// Connects, and asks once whether it serves: under TLS 1.3 a client learns only then that it was refused.
    pub async fn dial(&self, target: &Target) -> Result<Connection, DialError> {
        let wire = self.wire(target).await?;
        let lost = CancellationToken::new();
        let wire = Watched {
            wire,
            _lost: lost.clone().drop_guard(),
        };
        let channel = channel(target, wire).await?;
        ask(&channel, &target.address).await?;
        Ok(Connection { channel, lost })
    }

    async fn wire(&self, target: &Target) -> Result<Box<dyn Wire>, DialError> {
        let address = &target.address;
        if address.is_empty() {
            return Err(DialError::NoAddress);
        }
        let refused = |source| DialError::Connect {
            address: address.clone(),
            source,
        };
        let Security::Mutual(tls) = &self.security else {
            return loopback(address).await;
        };
        let Some(name) = &target.server_name else {
            return Err(DialError::NoTls {
                address: address.clone(),
            });
        };
        let server = ServerName::try_from(name.clone()).map_err(|_| DialError::Name {
            address: address.clone(),
            name: name.clone(),
        })?;
        let stream = within(TcpStream::connect(address)).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let connector = TlsConnector::from(tls.config());
        let stream = within(connector.connect(server, stream))
            .await
            .map_err(|source| DialError::Handshake {
                address: address.clone(),
                name: name.clone(),
                source,
            })?;
        Ok(Box::new(stream))
    }
}

/// What the name stands for decides, not the name.
async fn loopback(address: &str) -> Result<Box<dyn Wire>, DialError> {
    let refused = |source| DialError::Connect {
        address: address.to_owned(),
        source,
    };
    let mut found = within(lookup_host(address)).await.map_err(refused)?;
    let Some(found) = found.find(|found| found.ip().is_loopback()) else {
        return Err(DialError::NotLoopback {
            address: address.to_owned(),
        });
    };
    let stream = within(TcpStream::connect(found)).await.map_err(refused)?;
    Ok(Box::new(stream))
}

/// Pauses between attempts that failed, spread so that many relays and nodes do not come at once.
pub fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STEP, step).await?
}

async fn channel(target: &Target, wire: Watched) -> Result<Channel, DialError> {
    let mut wire = Some(TokioIo::new(wire));
    let once = service_fn(move |_| {
        let lost = || io::Error::new(io::ErrorKind::NotConnected, "the connection is lost");
        std::future::ready(wire.take().ok_or_else(lost))
    });
    // The scheme is that of the connector, which has done the handshake.
    let endpoint = Endpoint::from_static("http://hubble")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW);
    let connected = endpoint.connect_with_connector(once).await;
    connected.map_err(|source| DialError::Protocol {
        address: target.address.clone(),
        source,
    })
}

/// A server that does not know the question serves, too.
async fn ask(channel: &Channel, address: &str) -> Result<(), DialError> {
    let failed = |reason: String| DialError::Answer {
        address: address.to_owned(),
        reason,
    };
    let request = HealthCheckRequest {
        service: about::OBSERVER.to_owned(),
    };
    let mut client = HealthClient::new(channel.clone()).max_decoding_message_size(RESPONSE_BYTES);
    match timeout(STEP, client.check(request)).await {
        Err(_) => Err(failed("it is silent".to_owned())),
        Ok(Err(status)) if [Code::Unimplemented, Code::NotFound].contains(&status.code()) => Ok(()),
        Ok(Err(status)) => Err(failed(chain(&status))),
        Ok(Ok(answer)) => match answer.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            other => Err(failed(format!("it is {}", other.as_str_name()))),
        },
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Tells when the connection's owner, which is the channel's task, has let it go.
struct Watched {
    wire: Box<dyn Wire>,
    _lost: DropGuard,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_tls_nobody_but_loopback_is_asked() {
        let dialer = Dialer::new(Security::Loopback);
        let target = |address: &str| Target {
            address: address.to_owned(),
            server_name: None,
        };
        let elsewhere = dialer.dial(&target("192.0.2.1:4244")).await.unwrap_err();
        assert!(
            matches!(elsewhere, DialError::NotLoopback { .. }),
            "{elsewhere}"
        );
        let nobody = dialer.dial(&target("127.0.0.1:1")).await.unwrap_err();
        assert!(matches!(nobody, DialError::Connect { .. }), "{nobody}");
        let unknown = dialer.dial(&target("")).await.unwrap_err();
        assert!(matches!(unknown, DialError::NoAddress), "{unknown}");
    }

    #[test]
    fn pauses_grow_to_half_a_minute_and_are_spread() {
        let pauses: Vec<_> = pauses().take(20).collect();
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] < 2 * FIRST_PAUSE + FIRST_PAUSE);
        assert!(
            pauses[10..]
                .iter()
                .all(|pause| *pause >= LONGEST_PAUSE / 2 && *pause <= 2 * LONGEST_PAUSE)
        );
        assert!(
            pauses[10..].iter().any(|pause| *pause != pauses[10]),
            "{pauses:?}"
        );
    }
}
