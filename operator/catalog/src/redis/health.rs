use gloonet_api::redis::RedisMode;

use super::{READ_WRITE, WORKLOAD};
use crate::health::{all_answered, value, worst};
use crate::{Health, Input, Observed, ProbeOutcome, workload_health};

/// Share of `maxmemory` above which eviction is near.
const FULL: f64 = 0.95;

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    if input.spec.redis.mode == RedisMode::External {
        let answered = all_answered(observed, READ_WRITE, true);
        let ready = i32::from(answered.is_healthy());
        return worst(answered, contents(observed))
            .or_message("the external Redis accepts writes")
            .counted(ready, 1);
    }
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let answered = worst(all_answered(observed, READ_WRITE, true), contents(observed));
    worst(pods, answered).or_message("accepts writes and keeps them")
}

/// What Redis says about itself: still loading, unable to persist, or full.
fn contents(observed: &Observed) -> Health {
    for result in observed
        .probes
        .iter()
        .filter(|result| result.probe == READ_WRITE)
    {
        let ProbeOutcome::Answered { values } = &result.outcome else {
            continue;
        };
        let is = |name: &str, wanted: f64| {
            values
                .get(name)
                .is_some_and(|given| (given - wanted).abs() < 0.5)
        };
        if is("loading", 1.0) {
            return Health::progressing(format!("Redis at {} is loading its data", result.target));
        }
        if is("aof_enabled", 1.0) && is("aof_last_write_ok", 0.0) {
            return Health::degraded(format!(
                "Redis at {} cannot write its append-only file; check free space on its volume",
                result.target
            ));
        }
        let used = value(&observed.probes, READ_WRITE, &result.target, "used_memory");
        let limit = value(&observed.probes, READ_WRITE, &result.target, "maxmemory")
            .filter(|limit| **limit > 0.0);
        if let (Some(used), Some(limit)) = (used, limit)
            && used / limit > FULL
        {
            return Health::degraded(format!(
                "Redis at {} uses {:.0} % of its memory and evicts keys; raise redis.managed.maxMemory",
                result.target,
                100.0 * used / limit
            ));
        }
    }
    Health::healthy("")
}
