//! Command line and environment.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use gloo_api::ClusterName;
use tracing_subscriber::{EnvFilter, fmt};

use gloo_api::names;

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
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged: a level, or tracing directives.
    #[arg(long, env = "GLOONET_LOG", default_value = "info")]
    pub log_level: String,
    /// This pod's name; tells two agents of one cluster apart in messages.
    #[arg(long, env = "HOSTNAME", default_value = "gloo-mesh-agent")]
    pub pod_name: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For reading.
    Text,
}

impl Args {
    /// Sends log lines to standard error from now on.
    pub fn start_logging(&self) {
        let filter = EnvFilter::try_new(&self.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Text => lines.init(),
        }
    }
}
