//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

use crate::room::Limits;

/// redis-sink: OTLP logs in, Redis streams out.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Where OTLP over gRPC is taken. It has no authentication of its own, so it must be a loopback address: the gateway beside
    /// it in the pod has seen the client's certificate or token.
    #[arg(long, env = "OTLP_ADDRESS", default_value = "127.0.0.1:4319", value_parser = loopback)]
    pub otlp_address: SocketAddr,
    /// Where /metrics and /healthz are served.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:13134")]
    pub metrics_address: SocketAddr,
    /// Redis, `host:port`.
    #[arg(long, env = "REDIS_ADDRESS")]
    pub redis_address: String,
    /// Folder with the files `username` (optional) and `password`, read anew for every connection. Absent: no authentication.
    #[arg(long, env = "REDIS_CREDENTIALS")]
    pub redis_credentials: Option<PathBuf>,
    /// Speak TLS with Redis.
    #[arg(long, env = "REDIS_TLS")]
    pub redis_tls: bool,
    /// Authority of Redis' certificate, in PEM. Absent: the system's authorities.
    #[arg(long, env = "REDIS_CA", requires = "redis_tls")]
    pub redis_ca: Option<PathBuf>,
    /// Distinct streams one cluster may have; records for more are refused.
    #[arg(long, env = "STREAMS_PER_CLUSTER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams_per_cluster: u32,
    /// Bytes one cluster may have in Redis by what this program writes; records for more are refused.
    #[arg(long, env = "BYTES_PER_CLUSTER", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub bytes_per_cluster: u64,
    /// Least severe level that is logged: error, warn, info, debug.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

impl Args {
    /// What each cluster may have.
    pub fn limits(&self) -> Limits {
        Limits {
            streams: self.streams_per_cluster,
            bytes: self.bytes_per_cluster,
        }
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "write address:port, as in 127.0.0.1:4319".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("must be a loopback address: this listener asks nobody who they are".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otlp_is_taken_on_loopback_only() {
        let parse = |address| {
            Args::try_parse_from(["x", "--redis-address", "r:6379", "--otlp-address", address])
        };
        assert!(parse("127.0.0.1:4319").is_ok());
        let refusal = parse("0.0.0.0:4319").unwrap_err().to_string();
        assert!(refusal.contains("loopback"), "{refusal}");
    }

    #[test]
    fn an_authority_without_tls_is_a_mistake() {
        assert!(
            Args::try_parse_from(["x", "--redis-address", "r:6379", "--redis-ca", "/ca"]).is_err()
        );
    }
}
