//! What specs want to know of the cluster's nodes.

use anyhow::Result;

use crate::lab::Lab;
use crate::process;

const ZONE: &str = "topology.kubernetes.io/zone";
/// As many as specs about zones want; each zone is to have two workers.
const ZONES: usize = 3;

/// Gives the workers that have none zones by turns. What was labelled stays so: not for a cluster with other things to do.
pub fn into_zones(lab: &Lab) -> Result<()> {
    for (number, node) in lab.workers()?.iter().enumerate() {
        if lab.get(&["node", node])?["metadata"]["labels"][ZONE].is_null() {
            let label = format!("{ZONE}=zone-{}", number % ZONES);
            process::output(lab.kubectl()?.args(["label", "node", node, &label]))?;
        }
    }
    Ok(())
}
