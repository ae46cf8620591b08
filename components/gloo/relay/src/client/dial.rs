//! A connection to the server.

use std::{sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::tls::TlsError;

const CONNECT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// The name its certificate must have.
    pub authority: String,
}

/// Why the server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("{authority:?} is no name a certificate can have; see --relay-authority")]
    Authority { authority: String },
    #[error("cannot use the relay's certificates")]
    Tls { source: TlsError },
    #[error("cannot connect to the management server at {address}: {cause}")]
    Connect { address: String, cause: String },
}

/// Connects, within some seconds.
pub(super) async fn dial(server: &Server, tls: Arc<ClientConfig>) -> Result<Channel, DialError> {
    let name =
        ServerName::try_from(server.authority.clone()).map_err(|_| DialError::Authority {
            authority: server.authority.clone(),
        })?;
    let address = server.address.clone();
    let connector = service_fn(move |_: Uri| {
        let (address, name, tls) = (address.clone(), name.clone(), tls.clone());
        async move {
            let stream = timeout(CONNECT, TcpStream::connect(&address)).await??;
            stream.set_nodelay(true)?;
            let handshake = TlsConnector::from(tls).connect(name, stream);
            let stream = timeout(CONNECT, handshake).await??;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    // The scheme is that of the connector, which has done the handshake.
    Endpoint::from_static("http://relay")
        .connect_timeout(2 * CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .connect_with_connector(connector)
        .await
        .map_err(|error| DialError::Connect {
            address: server.address.clone(),
            cause: chain(&error),
        })
}

/// An error and its causes in one line: which of them says it differs between libraries.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
