use super::{LEADER, METRICS, WORKLOAD};
use crate::health::{all_answered, value, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment, an answer from each pod, one that holds the Lease, and podCIDRs for every CiliumNode there is.
///
/// Not for every node: CiliumNodes come from the agents, and the agent's own gate waits for all of them.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    let settled = pods.is_healthy();
    let probe = if settled {
        worst(all_answered(observed, METRICS, settled), led(observed))
    } else {
        Health::healthy("")
    };
    let count = observed.cilium_nodes.len();
    worst(worst(pods, pools(observed)), probe).or_message(format!("{count} nodes hold addresses"))
}

/// A Lease whose holder died runs out before another takes it. Nothing that is there needs it meanwhile.
fn led(observed: &Observed) -> Health {
    let probes = &observed.probes;
    let leads = |target| value(probes, METRICS, target, LEADER).is_some_and(|leads| *leads > 0.0);
    if probes.iter().any(|result| leads(&result.target)) {
        return Health::healthy("");
    }
    let lease = cilium_api::names::OPERATOR_LEASE;
    let message = format!(
        "no pod of {WORKLOAD} holds the Lease {}/{lease}: nobody hands out podCIDRs and identities",
        WORKLOAD.namespace
    );
    Health::progressing(message).standing()
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
