use super::{DATAPATH, WORKLOAD, carried};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the DaemonSet, podCIDRs of every node, the datapath of every node, and the ways between them.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = soaking(observed, workload_health(observed, &WORKLOAD));
    let settled = pods.is_healthy();
    let desired = pods.desired;
    let addresses = addresses(observed);
    let datapath = if settled {
        worst(
            all_answered(observed, DATAPATH, settled),
            carried::judge(observed),
        )
    } else {
        Health::healthy("")
    };
    worst(worst(pods, addresses), datapath).or_message(format!("{desired} nodes carry their pods"))
}

/// A new agent that is ready but has not yet been for `soakSeconds` holds back the next node, not the platform.
fn soaking(observed: &Observed, health: Health) -> Health {
    let seen = observed
        .workloads
        .iter()
        .find(|seen| seen.namespace == WORKLOAD.namespace && seen.name == WORKLOAD.name);
    match seen {
        Some(seen) if seen.observed_generation >= seen.generation && seen.desired > 0 => {
            let all = seen.ready >= seen.desired && seen.updated >= seen.desired;
            let counted =
                |health: Health| health.counted(seen.ready.min(seen.desired), seen.desired);
            if all {
                counted(Health::healthy(""))
            } else {
                counted(health)
            }
        }
        _ => health,
    }
}

fn addresses(observed: &Observed) -> Health {
    let missing: Vec<&str> = observed
        .nodes
        .iter()
        .filter(|node| observed.cilium_nodes.get(*node).is_none_or(Vec::is_empty))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Health::healthy("");
    }
    Health::progressing(format!("no podCIDR yet for node {}", missing.join(", ")))
}
