//! `cilium-dbg status`.

use std::io::Write;

use cilium_cni::error::chain;
use cilium_cni::model::balancing::KubeProxyReplacement;
use cilium_cni::model::health::HealthStatus;
use cilium_cni::model::routing::RoutingStatus;
use cilium_cni::model::{ClusterStatus, Status, StatusResponse};
use clap::Args;
use serde_json::Value;

use super::read;
use crate::Error;
use crate::agent::Agent;
use crate::health::{self, Show};
use crate::output::Output;
use crate::table::Table;

/// Nodes shown that are not reached, as upstream.
const UNREACHED_MAX: usize = 10;

#[derive(Debug, Args)]
pub struct Arguments {
    /// One line only
    #[arg(long)]
    brief: bool,
    /// With every address in use
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

/// Fails, after it has printed, when the agent's own state is neither Ok nor Disabled.
pub async fn run(arguments: &Arguments, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let raw: Value = agent.get("/healthz", "its status").await?;
    if arguments.output.write(&raw, out)? {
        return Ok(());
    }
    let status: StatusResponse = read(raw, "its status")?;
    if arguments.brief {
        brief(&status, out)?;
    } else {
        let mut table = table(&status, arguments.verbose);
        if let Some(cluster) = &status.cluster {
            nodes(cluster, arguments.verbose, agent, &mut table).await;
        }
        table.write(out)?;
    }
    match status.cilium.state.as_str() {
        "Ok" | "Disabled" => Ok(()),
        _ => Err(Error::Unhealthy(status.cilium.msg)),
    }
}

fn brief(status: &StatusResponse, out: &mut dyn Write) -> Result<(), Error> {
    let parts: [(&str, &Status); 2] = [
        ("kubernetes", &status.kubernetes),
        ("cilium", &status.cilium),
    ];
    let bad = parts
        .into_iter()
        .find(|(_, part)| matches!(part.state.as_str(), "Warning" | "Failure"));
    match bad {
        Some((name, part)) => writeln!(out, "error in {name}: {}", part.msg)?,
        None => writeln!(out, "OK")?,
    }
    Ok(())
}

/// What cannot be asked is part of the output: the agent itself may be well.
async fn nodes(cluster: &ClusterStatus, verbose: bool, agent: &Agent, table: &mut Table) {
    if cluster.cilium_health.state == "Disabled" {
        table.line("Cluster health:\tProbe disabled");
        return;
    }
    let asked: Result<HealthStatus, Error> = agent
        .get("/gloonet/health", "the health of the cluster")
        .await;
    match asked {
        Ok(status) if verbose => health::add(&status, Show::Paths, table),
        Ok(status) => health::add(&status, Show::Unreached(UNREACHED_MAX), table),
        Err(error) => table.line(format!("Cluster health:\tWarning\t{}", chain(&error))),
    }
}

fn how(routing: &RoutingStatus) -> String {
    let RoutingStatus {
        inter_host_routing_mode: network,
        intra_host_routing_mode: host,
        tunnel_protocol: protocol,
    } = routing;
    match protocol.as_str() {
        "" => format!("Network: {network}   Host: {host}"),
        _ => format!("Network: {network} [{protocol}]   Host: {host}"),
    }
}

fn table(status: &StatusResponse, verbose: bool) -> Table {
    let mut table = Table::with_least(2);
    let mut part =
        |name: &str, part: &Status| table.line(format!("{name}:\t{}\t{}", part.state, part.msg));
    part("Kubernetes", &status.kubernetes);
    table.line(format!(
        "KubeProxyReplacement:\t{}\t",
        status.kube_proxy_replacement.mode
    ));
    table.line(format!("CNI:\t{}\t{}", status.cni.state, status.cni.msg));
    table.line(format!(
        "Cilium:\t{}   {}",
        status.cilium.state, status.cilium.msg
    ));
    if let Some(cluster) = &status.cluster {
        let health = &cluster.cilium_health;
        table.line(format!(
            "Cilium health daemon:\t{}\t{}",
            health.state, health.msg
        ));
    }
    table.line(format!("IPAM:\t{}", status.ipam.status));
    if verbose {
        table.line("Allocated addresses:");
        for (address, owner) in &status.ipam.allocations {
            table.line(format!("  {address} ({owner})"));
        }
    }
    table.line(format!(
        "Policy:\t{}\t{}",
        status.policy.state, status.policy.msg
    ));
    if let Some(routing) = &status.routing {
        table.line(format!("Routing:\t{}", how(routing)));
    }
    table.line(format!("Encryption:\t{}\t", status.encryption.mode));
    if verbose {
        balancing(&status.kube_proxy_replacement, &mut table);
    }
    table
}

fn balancing(replacement: &KubeProxyReplacement, table: &mut Table) {
    let Some(features) = &replacement.features else {
        return;
    };
    let outside = &features.node_port;
    let selection = match outside.lut_size {
        Some(size) => format!("{} (Table Size: {size})", outside.algorithm),
        None => outside.algorithm.clone(),
    };
    table.line("KubeProxyReplacement Details:");
    table.line(format!("  Status:\t{}", replacement.mode));
    table.line(format!("  Mode:\t{}", outside.mode));
    table.line(format!("  Backend Selection:\t{selection}"));
}
