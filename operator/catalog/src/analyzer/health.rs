use super::{RUNS, WORKLOAD};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment; of its pod, that every analyzer ran lately and its report left.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let runs = all_answered(observed, RUNS, true);
    worst(pods, runs).or_message("every analyzer ran lately, and its report was sent")
}
