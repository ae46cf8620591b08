//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use gloo_api::ClusterName;
use gloo_store::RedisArgs;
use gloonet_daemon::logging::Logging;

/// gloo-mesh-insights: what records, snapshots and metrics of all clusters mean for a person.
#[derive(Clone, Debug, Parser)]
#[command(name = "gloo-mesh-insights", version)]
pub struct Args {
    /// Name of the cluster this runs in: the one that manages.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster_name: ClusterName,
    #[command(flatten)]
    pub redis: RedisArgs,
    /// File with the 32 bytes that seal snapshots in Redis; absent: insights about snapshots are unknown.
    #[arg(long)]
    pub store_key: Option<PathBuf>,
    /// Prometheus; absent: insights about metrics are unknown.
    #[arg(long)]
    pub prometheus_url: Option<String>,
    /// Seconds between two runs.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub interval: u32,
    /// Where /metrics is served.
    #[arg(long, default_value = "0.0.0.0:9094")]
    pub metrics_address: SocketAddr,
    /// Where /healthz and /run are served.
    #[arg(long, default_value = "0.0.0.0:8093")]
    pub health_address: SocketAddr,
    /// Where insights are served, on loopback: who may forward a port to this pod may read them.
    #[arg(long, default_value = "127.0.0.1:9095")]
    pub api_address: SocketAddr,
    #[command(flatten)]
    pub logging: Logging,
}
