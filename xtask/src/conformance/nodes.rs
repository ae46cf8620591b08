//! What specs want to know of the cluster's nodes.

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::process;

const ZONE: &str = "topology.kubernetes.io/zone";

/// As many as specs about zones want; each zone is to have two workers.
const ZONES: usize = 3;

/// Gives the workers zones by turns; how many workers there are.
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
            let label = format!("{ZONE}=zone-{}", number % ZONES);
            process::output(lab.kubectl()?.args(["label", "node", name, &label]))?;
        }
    }
    Ok(workers.len())
}
