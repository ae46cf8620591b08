use super::{ACCEPTED, ANSWERS, FLOW, LOG, REFUSED, WORKLOAD};
use crate::health::{all_answered, value, worst};
use crate::{Health, Input, Observed, workload_health};

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let answers = all_answered(observed, ANSWERS, true);
    let measured = all_answered(observed, FLOW, true);
    let mut found = worst(worst(worst(pods, answers), measured), refusals(observed));
    if input.logs() {
        found = worst(found, all_answered(observed, LOG, true));
    }
    found.or_message(if input.logs() {
        "takes telemetry, and log records arrive in Redis"
    } else {
        "takes telemetry"
    })
}

/// Refusing while it was asked again means it is over its memory limit.
fn refusals(observed: &Observed) -> Health {
    for result in observed.probes.iter().filter(|result| result.probe == FLOW) {
        let now = value(&observed.probes, FLOW, &result.target, REFUSED);
        let before = value(&observed.earlier, FLOW, &result.target, REFUSED);
        let accepted = value(&observed.probes, FLOW, &result.target, ACCEPTED)
            .copied()
            .unwrap_or_default();
        if let (Some(now), Some(before)) = (now, before)
            && now > before
        {
            return Health::degraded(format!(
                "{} refused {:.0} metric points since the last look (accepted so far: {accepted:.0}); raise telemetry.gateway.resources or replicas",
                result.target,
                now - before,
            ));
        }
    }
    Health::healthy("")
}
