//! The connection to the real API server that belongs to one client connection.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::FaultProxy;

/// Opened with the first request and again when the API server closed it. HTTP/1.1 clients have one request at a time on a
/// connection, so one is enough.
#[derive(Debug)]
pub(super) struct Upstream {
    spec: FaultProxy,
    tls: Arc<ClientConfig>,
    sender: Option<SendRequest<Incoming>>,
}

impl Upstream {
    pub(super) fn new(spec: FaultProxy, tls: Arc<ClientConfig>) -> Self {
        Self {
            spec,
            tls,
            sender: None,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Incoming>, String> {
        let mut kept = self.sender.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let sender = self.sender.insert(sender);
        sender
            .send_request(request)
            .await
            .map_err(|e| e.to_string())
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>, String> {
        let words = |e: std::io::Error| e.to_string();
        let tcp = TcpStream::connect(self.spec.upstream)
            .await
            .map_err(words)?;
        tcp.set_nodelay(true).map_err(words)?;
        let name = ServerName::IpAddress((*self.spec.upstream.ip()).into());
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await
            .map_err(words)?;
        let (sender, connection) = handshake(TokioIo::new(tls))
            .await
            .map_err(|e| e.to_string())?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}
