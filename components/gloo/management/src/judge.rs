//! Statuses of what is in dry run, with what of the observed traffic it would deny.

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_relay::key::ObjectKey;
use gloo_translate::dry_run::{Trial, WINDOW, dry_run};

use crate::{
    flows::Flows,
    state::{State, place_of},
};

/// Pairs a status lists at most; those with the most flows come first.
const LISTED: usize = 50;

/// Statuses of the dry runs of a cluster's resources.
pub fn statuses(state: &State, cluster: &ClusterName) -> Vec<(ObjectKey, Bytes)> {
    let trials = state.translator.trials();
    trials
        .filter(|(subject, _)| place_of(subject).slot.cluster == *cluster)
        .filter_map(|(subject, trial)| {
            state.restated(subject, |status| {
                if let Some(list) = status.would_deny() {
                    *list = would_deny(state, trial);
                }
            })
        })
        .collect()
}

fn would_deny(state: &State, trial: &Trial) -> Vec<String> {
    let pairs = match &state.flows {
        Flows::Pairs(pairs) if pairs.is_empty() => {
            return vec![format!(
                "nothing is known: Prometheus holds no flows between workloads of the last {WINDOW}"
            )];
        }
        Flows::Pairs(pairs) => pairs,
        Flows::Unknown(why) => return vec![format!("nothing is known: {why}")],
    };
    let mut denied = dry_run(trial, state.translator.world(), pairs);
    if denied.is_empty() {
        return vec![format!(
            "nothing of {} observed pairs of the last {WINDOW}",
            pairs.len()
        )];
    }
    denied.sort_by(|a, b| b.flows.total_cmp(&a.flows));
    let more = denied.len().saturating_sub(LISTED);
    let mut list: Vec<_> = denied
        .into_iter()
        .take(LISTED)
        .map(|pair| {
            let side = |side: &gloo_translate::dry_run::Side| {
                format!(
                    "{}/{}/{}",
                    side.slot.cluster, side.slot.namespace, side.workload
                )
            };
            format!(
                "{} to {}: {:.0} flows in {WINDOW}",
                side(&pair.source),
                side(&pair.destination),
                pair.flows
            )
        })
        .collect();
    if more > 0 {
        list.push(format!("and {more} more pairs"));
    }
    list
}
