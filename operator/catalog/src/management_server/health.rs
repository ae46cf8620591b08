use super::{RELAY, WORKLOAD};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment; of each pod, that its last translation had no error. Whether agents are connected is judged at
/// the agents: a cluster that is away is no fault of the server.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let relay = all_answered(observed, RELAY, true);
    worst(pods, relay).or_message("serves agents, the last translation had no error")
}
