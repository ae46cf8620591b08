//! The counts of a Deployment or DaemonSet to health.

use std::fmt::Write;

use super::{Health, diagnose};
use crate::{Observed, Workload, WorkloadRef};

/// Health of one workload from its counts and its pods.
///
/// Healthy when the controller has seen the newest generation, every desired pod is updated and available, and none of an older
/// template is left. Degraded when a
/// pod has a reason that does not pass by itself, or when more pods are unavailable than a rollout may have at once while
/// nothing is being rolled out. Otherwise Progressing.
pub fn workload_health(observed: &Observed, workload: &WorkloadRef) -> Health {
    let found = observed.workloads.iter().find(|seen| {
        seen.kind == workload.kind
            && seen.namespace == workload.namespace
            && seen.name == workload.name
    });
    match found {
        None => Health::progressing(format!("{workload} does not exist yet")),
        Some(seen) => {
            let health = judge(observed, workload, seen)
                .counted(seen.available.min(seen.desired), seen.desired);
            if seen.desired > 0 && seen.available >= seen.desired {
                health.standing()
            } else {
                health
            }
        }
    }
}

fn judge(observed: &Observed, workload: &WorkloadRef, seen: &Workload) -> Health {
    if seen.observed_generation < seen.generation {
        return Health::progressing(format!(
            "{workload}: its controller has not seen generation {} yet",
            seen.generation
        ));
    }
    let complete = seen.updated >= seen.desired && seen.available >= seen.desired;
    let old = seen.pods - seen.updated;
    if complete && old <= 0 {
        return Health::healthy(format!(
            "{} of {} pods available",
            seen.available, seen.desired
        ));
    }
    let mut counts = format!(
        "{workload}: {} of {} pods available, {} updated",
        seen.available, seen.desired, seen.updated
    );
    if complete {
        let _written = write!(counts, ", {old} of the template before still there");
    }
    match diagnose::pods(observed, workload) {
        Some(diagnosis) if diagnosis.lasting => {
            Health::degraded(format!("{counts}; {}", diagnosis.sentence))
        }
        Some(diagnosis) => Health::progressing(format!("{counts}; {}", diagnosis.sentence)),
        None => Health::progressing(counts),
    }
}

#[cfg(test)]
mod tests;
