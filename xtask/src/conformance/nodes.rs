//! What specs want to know of the cluster's nodes.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::process;

const ZONE: &str = "topology.kubernetes.io/zone";

/// As many as specs about zones want; each zone is to have two workers.
const ZONES: usize = 3;

/// Gives the workers that have none zones by turns. What was labelled stays so: not for a cluster with other things to do.
pub fn into_zones(lab: &Lab) -> Result<()> {
    for (number, node) in workers(lab)?.iter().enumerate() {
        let name = node["metadata"]["name"].as_str().context("a node's name")?;
        if node["metadata"]["labels"][ZONE].is_null() {
            let label = format!("{ZONE}=zone-{}", number % ZONES);
            process::output(lab.kubectl()?.args(["label", "node", name, &label]))?;
        }
    }
    Ok(())
}

/// The nodes without the control plane's role.
pub fn workers(lab: &Lab) -> Result<Vec<Value>> {
    let selector = "!node-role.kubernetes.io/control-plane";
    let found = lab.get(&["nodes", "--selector", selector])?;
    let workers = found["items"].as_array().context("a list of nodes")?;
    Ok(workers.clone())
}
