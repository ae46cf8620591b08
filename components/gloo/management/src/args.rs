//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Parser};
use gloo_api::ClusterName;
use gloo_store::RedisArgs;
use gloonet_daemon::logging::Logging;

/// gloo-mesh-mgmt-server: snapshots of all clusters in, what each is to have out.
#[derive(Clone, Debug, Parser)]
#[command(name = "gloo-mesh-mgmt-server", version)]
pub struct Args {
    /// Name of the cluster this runs in: the one whose Workspaces count.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster_name: ClusterName,
    /// Where agents connect.
    #[arg(long, default_value = "0.0.0.0:9900")]
    pub relay_address: SocketAddr,
    /// Where /metrics and /snapshots are served.
    #[arg(long, default_value = "0.0.0.0:9091")]
    pub stats_address: SocketAddr,
    /// Where /healthz, /readyz and /relay are served.
    #[arg(long, default_value = "0.0.0.0:8091")]
    pub health_address: SocketAddr,
    /// Folder with this server's certificate (`tls.crt`, `tls.key`), read anew when it changes.
    #[arg(long)]
    pub tls: PathBuf,
    /// Folder with the authority that signs agents' certificates (`tls.crt`, `tls.key`).
    #[arg(long)]
    pub signing: PathBuf,
    /// File with the key that tokens for telemetry are signed with (Ed25519, PKCS#8 in PEM); absent: clusters get none.
    #[arg(long, requires = "telemetry_authority")]
    pub telemetry_key: Option<PathBuf>,
    /// File with the authority of the telemetry gateway, in PEM.
    #[arg(long)]
    pub telemetry_authority: Option<PathBuf>,
    /// File with the 32 bytes that seal what is in Redis.
    #[arg(long)]
    pub store_key: PathBuf,
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Prometheus with the observed flows; absent: dry runs list nothing and say so.
    #[arg(long)]
    pub prometheus_url: Option<String>,
    /// Push nothing before every registered cluster that ever took part has been heard from, or is known from Redis.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub safe_mode: bool,
    /// Memory limit of this process in bytes; a quarter of it is for the objects of all clusters. Absent: 1 GiB.
    #[arg(long, env = "MEMORY_LIMIT")]
    pub memory_limit: Option<usize>,
    /// This pod's name.
    #[arg(long, env = "POD_NAME", default_value = "gloo-mesh-mgmt-server")]
    pub pod_name: String,
    /// This pod's UID.
    #[arg(long, env = "POD_UID")]
    pub pod_uid: Option<String>,
    #[command(flatten)]
    pub logging: Logging,
}
