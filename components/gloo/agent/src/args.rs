//! Command line and environment.

use std::net::SocketAddr;

use clap::Parser;
use gloo_api::{ClusterName, names};
use gloonet_daemon::logging::Logging;

/// gloo-mesh-agent: observes its cluster, tells the management server, applies what that desires.
#[derive(Clone, Debug, Parser)]
#[command(name = "gloo-mesh-agent", version)]
pub struct Args {
    /// Name of this cluster, as it was registered.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster_name: ClusterName,
    /// The management server's relay, host:port.
    #[arg(long, env = "RELAY_ADDRESS")]
    pub relay_address: String,
    /// The name the server's certificate must have.
    #[arg(long, env = "RELAY_AUTHORITY", default_value = names::RELAY_AUTHORITY)]
    pub relay_authority: String,
    /// Where /metrics is served.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:9091")]
    pub metrics_address: SocketAddr,
    /// Where /healthz, /readyz and /relay are served.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8090")]
    pub health_address: SocketAddr,
    /// Keep a token with which this cluster's collectors send to the management cluster.
    #[arg(long)]
    pub telemetry: bool,
    #[command(flatten)]
    pub logging: Logging,
    /// This pod's name; tells two agents of one cluster apart in messages.
    #[arg(long, env = "HOSTNAME", default_value = "gloo-mesh-agent")]
    pub pod_name: String,
}
