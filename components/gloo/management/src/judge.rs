//! Statuses of what is in dry run, with what of the observed traffic it would deny.

use std::collections::BTreeMap;

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
    let mut subjects: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (subject, trial) in state.translator.trials() {
        if place_of(subject).slot.cluster == *cluster {
            subjects.entry(subject).or_default().push(trial);
        }
    }
    subjects
        .into_iter()
        .filter_map(|(subject, trials)| {
            state.restated(subject, |status| {
                if let Some(list) = status.would_deny() {
                    *list = would_deny(state, &trials);
                }
            })
        })
        .collect()
}

/// Of one resource; settings named `global` are a trial in each workspace.
fn would_deny(state: &State, trials: &[&Trial]) -> Vec<String> {
    let pairs = match &state.flows {
        Flows::Pairs(pairs) if pairs.is_empty() => {
            return vec![format!(
                "nothing is known: Prometheus holds no flows between workloads of the last {WINDOW}"
            )];
        }
        Flows::Pairs(pairs) => pairs,
        Flows::Unknown(why) => return vec![format!("nothing is known: {why}")],
    };
    let world = state.translator.world();
    let each = trials.iter().flat_map(|trial| dry_run(trial, world, pairs));
    let mut denied: Vec<_> = each.collect();
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
