use super::{NODES, WORKLOAD};
use crate::health::all_answered;
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment, whose pod is ready while it is connected to any node; and which nodes it lacks.
///
/// One that is away changes nothing but the words, however long: the others' flows are served, the agent's own gate speaks of the
/// node, and of one that left the cluster agents go on telling until its CiliumNode is collected.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let nodes = all_answered(observed, NODES, false);
    if nodes.is_healthy() {
        return pods.or_message("connected to every node");
    }
    Health {
        message: nodes.message,
        ..pods
    }
}
