use gloonet_api::prometheus::PrometheusMode;

use super::{JOBS_UP, READY, WORKLOAD, config};
use crate::health::{all_answered, worst};
use crate::{Health, Input, Observed, ProbeOutcome, WorkloadRef, workload_health};

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    if input.spec.prometheus.mode == PrometheusMode::External {
        let answered = all_answered(observed, READY, true);
        let ready = i32::from(answered.is_healthy());
        return answered
            .or_message("the external Prometheus is ready")
            .counted(ready, 1);
    }
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let ready = all_answered(observed, READY, true);
    let asked = all_answered(observed, JOBS_UP, true);
    worst(worst(worst(pods, ready), asked), jobs(input, observed))
        .or_message("ready, every scrape job is up")
}

/// A job is demanded once what it scrapes is up; the others come later in the order of installation and would wait for us. They
/// do not wait for a job that is found late either: a DNS server may remember for half a minute that there was no target.
fn jobs(input: &Input, observed: &Observed) -> Health {
    let values = observed
        .probes
        .iter()
        .filter(|result| result.probe == JOBS_UP)
        .find_map(|result| match &result.outcome {
            ProbeOutcome::Answered { values } => Some(values),
            ProbeOutcome::Failed { .. } | ProbeOutcome::NoTarget => None,
        });
    let Some(values) = values else {
        return Health::healthy("");
    };
    let late: Vec<String> = config::jobs(input)
        .iter()
        .filter(|job| is_up(observed, &job.workload))
        .filter_map(|job| match values.get(job.name) {
            None => Some(format!("{} has no target", job.name)),
            Some(share) if *share < 1.0 => Some(format!(
                "{} has {:.0} % of its targets up",
                job.name,
                share * 100.0
            )),
            Some(_) => None,
        })
        .collect();
    if late.is_empty() {
        Health::healthy("")
    } else {
        Health::progressing(format!("scrape job {}", late.join(", "))).serving()
    }
}

fn is_up(observed: &Observed, workload: &WorkloadRef) -> bool {
    workload_health(observed, workload).is_healthy()
}
