//! Command line and environment. Names follow upstream's operator where it has the same setting.

use std::{net::SocketAddr, time::Duration};

use cilium_api::names;
use clap::Parser;
use ipnet::Ipv4Net;

/// cilium-operator: podCIDRs, identities, garbage collection and node readiness.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Name of this cluster; part of every identity.
    #[arg(long, env = "CLUSTER_NAME", default_value = "default")]
    pub cluster_name: String,
    /// Networks the nodes' podCIDRs are taken from, in order.
    #[arg(
        long,
        env = "CLUSTER_POOL_IPV4_CIDR",
        value_delimiter = ',',
        required = true
    )]
    pub cluster_pool_ipv4_cidr: Vec<Ipv4Net>,
    /// Prefix length of one node's podCIDR.
    #[arg(long, env = "CLUSTER_POOL_IPV4_MASK_SIZE", default_value_t = 24, value_parser = clap::value_parser!(u8).range(8..=30))]
    pub cluster_pool_ipv4_mask_size: u8,
    /// Namespace of the agents and of the leader's Lease.
    #[arg(long, env = "CILIUM_NAMESPACE", default_value = names::NAMESPACE)]
    pub cilium_namespace: String,
    /// Name under which this replica holds the Lease.
    #[arg(long, env = "POD_NAME", default_value = "cilium-operator")]
    pub pod_name: String,
    /// Where Prometheus metrics are served.
    #[arg(long, env = "METRICS_BIND_ADDRESS", default_value = "0.0.0.0:9963")]
    pub metrics_bind_address: SocketAddr,
    /// Where /healthz is served.
    #[arg(long, env = "HEALTH_BIND_ADDRESS", default_value = "127.0.0.1:9234")]
    pub health_bind_address: SocketAddr,
    /// How long a CiliumEndpoint stays without its pod, in seconds.
    #[arg(long, env = "CILIUM_ENDPOINT_GC_INTERVAL_SECONDS", default_value = "300", value_parser = seconds)]
    pub cilium_endpoint_gc_interval_seconds: Duration,
    /// How long a CiliumNode stays without its Node, in seconds.
    #[arg(long, env = "NODES_GC_INTERVAL_SECONDS", default_value = "300", value_parser = seconds)]
    pub nodes_gc_interval_seconds: Duration,
    /// How long an identity stays without a pod or endpoint that uses it, in seconds.
    #[arg(long, env = "IDENTITY_HEARTBEAT_TIMEOUT_SECONDS", default_value = "1800", value_parser = seconds)]
    pub identity_heartbeat_timeout_seconds: Duration,
    /// Least severe level that is logged: error, warn, info, debug.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_may_be_several_networks() {
        let args =
            Args::try_parse_from(["x", "--cluster-pool-ipv4-cidr", "10.244.0.0/16,10.8.0.0/20"])
                .unwrap();
        assert_eq!(args.cluster_pool_ipv4_cidr.len(), 2);
        assert_eq!(
            args.identity_heartbeat_timeout_seconds,
            Duration::from_mins(30)
        );
    }

    #[test]
    fn a_pool_that_is_no_network_is_refused() {
        assert!(Args::try_parse_from(["x", "--cluster-pool-ipv4-cidr", "10.244.0.0/33"]).is_err());
        assert!(Args::try_parse_from(["x"]).is_err());
    }
}
