use super::{ANSWERS, FAILED, FLOW, QUEUE, QUEUED, SENT, WORKLOAD, sends_always};
use crate::health::{all_answered, value, worst};
use crate::{Health, Input, Observed, workload_health};

/// Share of the sending queue above which points are about to be lost.
const FULL: f64 = 0.9;

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let answers = all_answered(observed, ANSWERS, true);
    if !sends_always(input) {
        return worst(pods, answers).or_message("ready; no pipeline of what is scraped is on");
    }
    let measured = all_answered(observed, FLOW, true);
    let desired = pods.desired;
    let flow = worst(backlog(observed), arrival(observed));
    worst(worst(worst(pods, answers), measured), flow)
        .or_message(format!("{desired} nodes send to the gateway"))
}

fn backlog(observed: &Observed) -> Health {
    for result in observed.probes.iter().filter(|result| result.probe == FLOW) {
        let at = |results, name| value(results, FLOW, &result.target, name).copied();
        // The counter appears with the first loss; before, a look that answered counted none.
        let seen =
            at(&observed.earlier, SENT).map(|_| at(&observed.earlier, FAILED).unwrap_or(0.0));
        if let (Some(now), Some(before)) = (at(&observed.probes, FAILED), seen)
            && now > before
        {
            let lost = now - before;
            return Health::degraded(format!(
                "{} could not send {lost:.0} metric points since the last look; see its log",
                result.target
            ));
        }
        if let (Some(queued), Some(size)) =
            (at(&observed.probes, QUEUED), at(&observed.probes, QUEUE))
            && size > 0.0
            && queued / size > FULL
        {
            return Health::degraded(format!(
                "{} has {:.0} % of its sending queue taken; the gateway does not keep up",
                result.target,
                queued / size * 100.0
            ));
        }
    }
    Health::healthy("")
}

/// Healthy is only what has arrived at the gateway: a collector that never sent anything may hold a wrong certificate.
fn arrival(observed: &Observed) -> Health {
    let silent: Vec<&str> = observed
        .probes
        .iter()
        .filter(|result| result.probe == FLOW)
        .filter(|result| {
            value(&observed.probes, FLOW, &result.target, SENT).is_none_or(|sent| *sent <= 0.0)
        })
        .map(|result| result.target.as_str())
        .collect();
    if silent.is_empty() {
        return Health::healthy("");
    }
    Health::progressing(format!(
        "nothing sent to the gateway yet: {}",
        silent.join(", ")
    ))
}
