//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use gloonet_daemon::logging::Logging;

/// Installs, gates, repairs and removes the network platform that GlooNetwork default describes.
#[derive(Clone, Debug, Parser)]
#[command(name = "gloonet-operator", version)]
pub struct Arguments {
    /// Connect with this kubeconfig instead of the pod's ServiceAccount.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Listen here for /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9464")]
    pub metrics_address: SocketAddr,
    /// Listen here for /healthz and /readyz; whoever asks shares the network namespace.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9465")]
    pub health_address: SocketAddr,
    /// Name of this replica in the Lease; must differ between replicas.
    #[arg(
        long,
        value_name = "NAME",
        env = "POD_NAME",
        default_value = "gloonet-operator"
    )]
    pub identity: String,
    /// Host of the API server as pods on the node network reach it; GlooNetwork may name another one.
    #[arg(long, value_name = "HOST", env = "KUBERNETES_SERVICE_HOST")]
    pub api_server_host: Option<String>,
    /// Port to go with it.
    #[arg(
        long,
        value_name = "PORT",
        env = "KUBERNETES_SERVICE_PORT",
        default_value_t = 443
    )]
    pub api_server_port: u16,
    #[command(flatten)]
    pub logging: Logging,
}

impl Arguments {
    /// Host and port of the API server, if they are known.
    pub fn api_server(&self) -> Option<(String, u16)> {
        self.api_server_host
            .clone()
            .map(|host| (host, self.api_server_port))
    }
}
