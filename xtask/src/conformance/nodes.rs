//! What specs want to know of the cluster's nodes.

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::process;

const ZONE: &str = "topology.kubernetes.io/zone";

/// Gives each worker a zone of its own, for specs about zones; how many workers there are.
pub fn in_zones(lab: &Lab) -> Result<usize> {
    let found = lab.get(&[
        "nodes",
        "--selector",
        "!node-role.kubernetes.io/control-plane",
    ])?;
    let workers = found["items"].as_array().context("a list of nodes")?;
    for (number, node) in workers.iter().enumerate() {
        let name = node["metadata"]["name"].as_str().context("a node's name")?;
        if node["metadata"]["labels"][ZONE].is_null() {
            let label = format!("{ZONE}=zone-{number}");
            process::output(lab.kubectl()?.args(["label", "node", name, &label]))?;
        }
    }
    Ok(workers.len())
}
