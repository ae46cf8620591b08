use super::{NODES, WORKLOAD};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment; of its pod, that it is connected to every node it was told of.
///
/// A node that is away is Progressing, however long: the others' flows are served, and the agent's own gate speaks of the node.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let nodes = all_answered(observed, NODES, false);
    worst(pods, nodes).or_message("connected to every node")
}
