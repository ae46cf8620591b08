//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Parser;
use gloo_api::ClusterName;
use gloonet_daemon::logging::Logging;

/// gloo-mesh-analyzer: looks at the cluster and reports what it finds.
#[derive(Clone, Debug, Parser)]
#[command(name = "gloo-mesh-analyzer", version)]
pub struct Args {
    /// Name of this cluster.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster_name: ClusterName,
    /// The cluster's collector, host:port; OTLP over gRPC with TLS.
    #[arg(long, env = "OTLP_ADDRESS")]
    pub otlp_address: String,
    /// The name the collector's certificate must have.
    #[arg(long, env = "OTLP_SERVER_NAME")]
    pub otlp_server_name: String,
    /// Folder with the certificate the analyzer shows the collector, and the authority it knows it by (`tls.crt`, `tls.key`, `ca.crt`).
    #[arg(long)]
    pub otlp_tls: PathBuf,
    /// Folder with a folder for each Secret whose certificate is looked at: `<namespace>/<name>/tls.crt`, and `ca.crt` where there is one.
    #[arg(long)]
    pub certificates: Option<PathBuf>,
    /// An endpoint whose certificate is looked at: NAME=HOST:PORT,SERVER-NAME[,FILE of its authority]. May be repeated.
    #[arg(long = "endpoint")]
    pub endpoints: Vec<Endpoint>,
    /// Authority of the agents' Hubble port, in PEM; absent: that port is not looked at.
    #[arg(long)]
    pub hubble_authority: Option<PathBuf>,
    /// Seconds between two runs of an analyzer; those that connect to many places take twice as long.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=3600))]
    pub interval: u32,
    /// Where /metrics is served.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:9092")]
    pub metrics_address: SocketAddr,
    /// Where /healthz and /runs are served.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8092")]
    pub health_address: SocketAddr,
    #[command(flatten)]
    pub logging: Logging,
}

/// A place that serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// What its certificate must be good for.
    pub server_name: String,
    pub authority: Option<PathBuf>,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not NAME=HOST:PORT,SERVER-NAME[,FILE]");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let mut parts = rest.splitn(3, ',');
        let address = parts.next().unwrap_or_default();
        let server_name = parts.next().unwrap_or_default();
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        if name.is_empty() || server_name.is_empty() || !matches!(port, Some(Ok(_))) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            address: address.to_owned(),
            server_name: server_name.to_owned(),
            authority: parts.next().map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_and_a_wrong_one_refused() {
        let endpoint: Endpoint = "relay=server:9900,server.gloo-mesh,/ca.crt"
            .parse()
            .unwrap();
        assert_eq!(endpoint.address, "server:9900");
        assert_eq!(endpoint.authority, Some(PathBuf::from("/ca.crt")));
        for wrong in [
            "relay",
            "relay=server",
            "relay=server:9900",
            "=a:1,b",
            "a=b:port,c",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
