use super::{RUN, WORKLOAD};
use crate::health::{all_answered, worst};
use crate::{Health, Observed, workload_health};

/// Counts of the Deployment; of its pod, that a run ended lately. Evidence that is missing is said in the insights themselves.
pub(super) fn judge(observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let run = all_answered(observed, RUN, true);
    worst(pods, run).or_message("the last run ended lately")
}
