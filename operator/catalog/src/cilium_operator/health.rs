use super::{METRICS, WORKLOAD};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment, an answer from each pod, and podCIDRs for every CiliumNode there is.
///
/// Not for every node: CiliumNodes come from the agents, and the agent's own gate waits for all of them.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    let settled = pods.is_healthy();
    let probe = if settled {
        all_answered(observed, METRICS, settled)
    } else {
        Health::healthy("")
    };
    let count = observed.cilium_nodes.len();
    worst(worst(pods, pools(observed)), probe).or_message(format!("{count} nodes hold addresses"))
}

fn pools(observed: &Observed) -> Health {
    let empty: Vec<&str> = observed
        .cilium_nodes
        .iter()
        .filter(|(_, cidrs)| cidrs.is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    if empty.is_empty() {
        return Health::healthy("");
    }
    Health::progressing(format!(
        "CiliumNode {} has no podCIDR yet",
        empty.join(", ")
    ))
}
