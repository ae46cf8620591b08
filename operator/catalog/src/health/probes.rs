//! Probe results to health.

use super::Health;
use crate::{Observed, ProbeOutcome, ProbeResult};

/// The worse of two, with the message of the worse; the first keeps its counts.
pub(crate) fn worst(first: Health, second: Health) -> Health {
    if second.state > first.state {
        let (ready, desired) = (first.ready, first.desired);
        return second.counted(ready, desired);
    }
    first
}

/// Healthy when the named probe answered at every target. Otherwise Progressing; Degraded when the workload itself is `settled`
/// and the same target failed in the look before as well, so that one lost packet alarms nobody.
pub(crate) fn all_answered(observed: &Observed, probe: &str, settled: bool) -> Health {
    let results: Vec<_> = observed
        .probes
        .iter()
        .filter(|result| result.probe == probe)
        .collect();
    if results.is_empty() {
        return Health::progressing(format!("probe {probe} has not run yet"));
    }
    for result in results {
        match &result.outcome {
            ProbeOutcome::Answered { .. } => {}
            ProbeOutcome::NoTarget => {
                return Health::progressing(format!("probe {probe}: no running pod to ask"));
            }
            ProbeOutcome::Failed { reason } => {
                let message = format!("probe {probe} at {}: {reason}", result.target);
                let lasting = settled && failed_before(observed, probe, &result.target);
                return if lasting {
                    Health::degraded(message)
                } else {
                    Health::progressing(message)
                };
            }
        }
    }
    Health::healthy("")
}

/// A value that `probe` measured at `target`, now and in the look before.
pub(crate) fn value<'a>(
    results: &'a [ProbeResult],
    probe: &str,
    target: &str,
    name: &str,
) -> Option<&'a f64> {
    let result = results
        .iter()
        .find(|result| result.probe == probe && result.target == target)?;
    match &result.outcome {
        ProbeOutcome::Answered { values } => values.get(name),
        ProbeOutcome::Failed { .. } | ProbeOutcome::NoTarget => None,
    }
}

fn failed_before(observed: &Observed, probe: &str, target: &str) -> bool {
    observed.earlier.iter().any(|result| {
        result.probe == probe
            && result.target == target
            && matches!(result.outcome, ProbeOutcome::Failed { .. })
    })
}
