use super::{RELAY, WORKLOAD, objects};
use crate::health::{all_answered, worst};
use crate::{Health, Input, Observed, workload_health};

/// Counts of the Deployment, then the relay: connected, and all that was seen here has arrived there.
///
/// Not connected is Progressing, however long: what was applied stays in force, and the deadline of the component says when
/// a person is called.
pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    let pods = workload_health(observed, &WORKLOAD);
    if !pods.is_healthy() {
        return pods;
    }
    let server = objects::relay_address(input);
    let relay = all_answered(observed, RELAY, false);
    worst(pods, relay).or_message(format!("connected to {server}, snapshot complete"))
}
