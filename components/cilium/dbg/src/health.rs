//! What nodes said to probes, in upstream's words.

use cilium_cni::model::health::{
    ConnectivityStatus, HealthStatus, NodeStatus, PathStatus, Reachability,
};

use crate::table::Table;

/// Which nodes get a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// So many of those that are not reached.
    Unreached(usize),
    All,
    /// All, and every address of each.
    Paths,
}

pub(crate) fn add(status: &HealthStatus, show: Show, table: &mut Table) {
    let (healthy, number) = (status.healthy(), status.nodes.len());
    table.line(format!(
        "Cluster health:\t{healthy}/{number} reachable\t({})\t(Probe interval: {})",
        status.timestamp, status.probe_interval
    ));
    table.line("Name\tIP\tNode\tEndpoints");
    let local = |node: &&NodeStatus| node.name == status.local.name;
    let mut nodes: Vec<&NodeStatus> = status.nodes.iter().collect();
    nodes.sort_by_key(|node| (!local(node), &node.name));
    if let Show::Unreached(_) = show {
        nodes.retain(|node| !node.is_healthy());
    }
    let most = match show {
        Show::Unreached(most) => most,
        Show::All | Show::Paths => nodes.len(),
    };
    for node in nodes.iter().take(most) {
        let suffix = if local(node) { " (localhost)" } else { "" };
        if show == Show::Paths {
            table.line(format!("  {}{suffix}:", node.name));
            paths(node, table);
        } else {
            table.line(format!("  {}{suffix}{}", node.name, line(node)));
        }
    }
    if nodes.len() > most {
        table.line("  ...");
    }
}

fn line(node: &NodeStatus) -> String {
    let host = &node.host.primary_address;
    format!(
        "\t{}\t{}\t{}",
        host.ip,
        reached(Some(host)),
        reached(node.endpoint())
    )
}

/// Reached addresses of all, of which there is one or none.
fn reached(path: Option<&PathStatus>) -> &'static str {
    match path.map(PathStatus::reachability) {
        Some(Reachability::Reachable) => "1/1",
        Some(Reachability::Unreachable) => "0/1",
        Some(Reachability::Unknown) => "0/1 (1 unknown)",
        None => "0/0",
    }
}

fn paths(node: &NodeStatus, table: &mut Table) {
    for (kind, path) in [
        ("Host", Some(&node.host.primary_address)),
        ("Endpoint", node.endpoint()),
    ] {
        let Some(path) = path else {
            table.line(format!("    {kind} connectivity:\tnil"));
            continue;
        };
        table.line(format!("    {kind} connectivity to {}:", path.ip));
        for (way, probed) in [("ICMP to stack", &path.icmp), ("HTTP to agent", &path.http)] {
            if let Some(probed) = probed {
                let last = &probed.last_probed;
                table.line(format!(
                    "      {way}:\t{}\t(Last probed: {last})",
                    said(probed)
                ));
            }
        }
    }
}

fn said(probed: &ConnectivityStatus) -> String {
    if probed.status.is_empty() {
        let took = std::time::Duration::from_nanos(probed.latency);
        format!("OK, RTT={took:?}")
    } else {
        probed.status.clone()
    }
}
