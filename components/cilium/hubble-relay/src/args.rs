//! Command line and environment. Flags that upstream's relay has are called as there.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use cilium_hubble::tls::{
    client::ClientFiles,
    server::{Clients, ServerFiles},
};
use clap::Parser;
use gloonet_daemon::logging::Logging;

/// hubble-relay: the flows of all nodes in one stream.
#[derive(Clone, Debug, Parser)]
#[command(name = "hubble-relay", version)]
pub struct Args {
    /// Where an agent tells which nodes there are, `host:port`.
    #[arg(
        long,
        env = "RELAY_PEER_SERVICE",
        default_value = "hubble-peer.kube-system.svc:443"
    )]
    pub peer_service: String,
    /// Name of the cluster: agents' certificates hold it.
    #[arg(long, env = "RELAY_CLUSTER_NAME", default_value = "default")]
    pub cluster_name: String,
    /// Where clients ask: `address:port`, `:port`, or `unix:///path`.
    #[arg(long, env = "RELAY_LISTEN_ADDRESS", default_value = ":4245", value_parser = listen)]
    pub listen_address: Listen,
    /// Where /healthz, /readyz and /nodes are served.
    #[arg(long, env = "RELAY_HEALTH_LISTEN_ADDRESS", default_value = ":4222", value_parser = address)]
    pub health_listen_address: SocketAddr,
    /// Where /metrics is served.
    #[arg(long, env = "RELAY_METRICS_LISTEN_ADDRESS", default_value = ":9966", value_parser = address)]
    pub metrics_listen_address: SocketAddr,
    #[command(flatten)]
    pub nodes: NodeTls,
    #[command(flatten)]
    pub server: ServerTls,
    /// How many flows are held back for order's sake before nodes are waited for no longer.
    #[arg(long, env = "RELAY_SORT_BUFFER_LEN_MAX", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sort_buffer_len_max: u32,
    /// How long a flow is held back at most because another node is silent: `1s`, `500ms`.
    #[arg(long, env = "RELAY_SORT_BUFFER_DRAIN_TIMEOUT", default_value = "1s", value_parser = duration)]
    pub sort_buffer_drain_timeout: Duration,
    /// How long changes of nodes are gathered before a stream says them.
    #[arg(long, env = "RELAY_ERROR_AGGREGATION_WINDOW", default_value = "10s", value_parser = duration)]
    pub error_aggregation_window: Duration,
    /// Streams that may be open at once.
    #[arg(long, env = "RELAY_MAX_STREAMS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_streams: u32,
    /// Flows that all streams together may keep while they find the last ones. One takes about 2 KiB.
    #[arg(long, env = "RELAY_MAX_BUFFERED_FLOWS", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub max_buffered_flows: u32,
    #[command(flatten)]
    pub logging: Logging,
}

/// How nodes are asked.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeTls {
    /// This relay's certificate towards nodes, in PEM. Files are read anew when they change.
    #[arg(long, env = "RELAY_TLS_HUBBLE_CLIENT_CERT_FILE")]
    pub tls_hubble_client_cert_file: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, env = "RELAY_TLS_HUBBLE_CLIENT_KEY_FILE")]
    pub tls_hubble_client_key_file: Option<PathBuf>,
    /// The authorities of nodes' certificates.
    #[arg(long, env = "RELAY_TLS_HUBBLE_SERVER_CA_FILES")]
    pub tls_hubble_server_ca_files: Option<PathBuf>,
    /// Ask nodes without TLS. Only those at loopback addresses are.
    #[arg(long, env = "RELAY_DISABLE_CLIENT_TLS")]
    pub disable_client_tls: bool,
}

/// How clients are served.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerTls {
    /// This relay's certificate towards its clients, in PEM.
    #[arg(long, env = "RELAY_TLS_RELAY_SERVER_CERT_FILE")]
    pub tls_relay_server_cert_file: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, env = "RELAY_TLS_RELAY_SERVER_KEY_FILE")]
    pub tls_relay_server_key_file: Option<PathBuf>,
    /// The authorities of clients' certificates. Who has none of them is refused.
    #[arg(long, env = "RELAY_TLS_RELAY_CLIENT_CA_FILES")]
    pub tls_relay_client_ca_files: Option<PathBuf>,
    /// Names one of which a client's certificate must have. Absent: every client of the authorities.
    #[arg(
        long,
        env = "RELAY_CLIENT_NAMES",
        value_delimiter = ',',
        requires = "tls_relay_client_ca_files"
    )]
    pub client_names: Vec<String>,
    /// Serve clients without a certificate, too: everybody who reaches the port sees all flows.
    #[arg(
        long,
        env = "RELAY_ALLOW_ANONYMOUS_CLIENTS",
        conflicts_with = "tls_relay_client_ca_files"
    )]
    pub allow_anonymous_clients: bool,
    /// Serve without TLS, which is possible on a loopback address only.
    #[arg(long, env = "RELAY_DISABLE_SERVER_TLS")]
    pub disable_server_tls: bool,
}

/// Where clients ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Port(SocketAddr),
    Socket(PathBuf),
}

/// Why the arguments do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    #[error(
        "nodes are asked over mutual TLS: give --tls-hubble-client-cert-file, --tls-hubble-client-key-file and --tls-hubble-server-ca-files"
    )]
    NoClientTls,
    #[error(
        "{address} is served over TLS: give --tls-relay-server-cert-file and --tls-relay-server-key-file, or listen on a loopback address or a unix socket"
    )]
    NoServerTls { address: SocketAddr },
    #[error(
        "{address} is no loopback address, and is not served without TLS: leave --disable-server-tls away"
    )]
    PlainPort { address: SocketAddr },
    #[error(
        "clients prove who they are: give --tls-relay-client-ca-files; --allow-anonymous-clients shows all flows to everybody who reaches the port"
    )]
    NoClients,
}

impl Args {
    /// The files for connections to nodes; `None` for loopback without TLS.
    pub fn client_files(&self) -> Result<Option<ClientFiles>, ArgsError> {
        let NodeTls {
            tls_hubble_client_cert_file: certificate,
            tls_hubble_client_key_file: key,
            tls_hubble_server_ca_files: authorities,
            disable_client_tls,
        } = &self.nodes;
        match (certificate, key, authorities) {
            _ if *disable_client_tls => Ok(None),
            (Some(certificate), Some(key), Some(authorities)) => Ok(Some(ClientFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                authorities: authorities.clone(),
            })),
            _ => Err(ArgsError::NoClientTls),
        }
    }

    /// The files a port is served with; `None` for loopback without TLS.
    pub fn server_files(&self, address: SocketAddr) -> Result<Option<ServerFiles>, ArgsError> {
        let ServerTls {
            tls_relay_server_cert_file: certificate,
            tls_relay_server_key_file: key,
            tls_relay_client_ca_files: authorities,
            client_names,
            allow_anonymous_clients,
            disable_server_tls,
        } = &self.server;
        if *disable_server_tls {
            let loopback = address.ip().is_loopback();
            return loopback
                .then_some(None)
                .ok_or(ArgsError::PlainPort { address });
        }
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Err(ArgsError::NoServerTls { address });
        };
        let clients = match authorities {
            Some(authorities) => Clients::Of {
                authorities: authorities.clone(),
                names: client_names.clone(),
            },
            None if *allow_anonymous_clients => Clients::Anyone,
            None => return Err(ArgsError::NoClients),
        };
        Ok(Some(ServerFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            clients,
        }))
    }

    /// The name in the certificate of whichever agent is behind the Service.
    pub fn peer_server_name(&self) -> String {
        let cluster = self.cluster_name.replace('.', "-");
        format!("hubble-peer.{cluster}.hubble-grpc.cilium.io")
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(Listen::Socket(path.into())),
        Some(_) => Err("write unix:///path, with a path from the root".to_owned()),
        None => address(text).map(Listen::Port),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let whole = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    whole
        .parse()
        .map_err(|_| "write address:port or :port, as in :4245".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let number: u64 = number
        .parse()
        .map_err(|_| "write a whole number and ms, s or m, as in 500ms".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("{unit:?} is none of the units ms, s and m")),
    }
}

#[cfg(test)]
mod tests;
