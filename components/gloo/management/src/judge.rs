//! Statuses of what is in dry run, with what of the observed traffic it would deny.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_relay::key::ObjectKey;
use gloo_translate::{
    Slot,
    dry_run::{Pair, Side, Trial, WINDOW, dry_run},
    verdict::Subject,
};

use crate::{
    flows::Flows,
    state::{State, place_of},
};

/// Lines of a status at most; those with the most flows come first.
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
                    *list = would_deny(state, subject, &trials);
                }
            })
        })
        .collect()
}

/// Of one resource; settings named `global` are a trial in each workspace.
fn would_deny(state: &State, subject: &Subject, trials: &[&Trial]) -> Vec<String> {
    let pairs = match &state.flows {
        Flows::Pairs(pairs) if pairs.is_empty() => {
            return vec![format!(
                "nothing is known: Prometheus holds no flows between workloads of the last {WINDOW}"
            )];
        }
        Flows::Pairs(pairs) => pairs,
        Flows::Unknown(why) => return vec![format!("nothing is known: {why}")],
    };
    let (view, world) = (state.translator.view(), state.translator.world());
    // Who writes in the management plane's own namespace sees all workspaces.
    let everything = place_of(subject).slot == world.admin();
    let (mut named, mut others) = (Vec::new(), BTreeMap::<_, Others>::new());
    for trial in trials {
        let workspace = trial.workspace();
        for pair in dry_run(trial, world, pairs) {
            let source = &pair.source.slot;
            if everything || workspace.is_some_and(|of| view.sees(of, source)) {
                named.push((pair.flows, pair_line(pair)));
            } else {
                let of = others.entry(&pair.destination).or_default();
                of.sources.insert(&pair.source);
                of.flows += pair.flows;
            }
        }
    }
    let others = others.into_iter();
    named.extend(others.map(|(destination, others)| (others.flows, others.line(destination))));
    if named.is_empty() {
        return vec![format!(
            "nothing of {} observed pairs of the last {WINDOW}",
            pairs.len()
        )];
    }
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    let more = named.len().saturating_sub(LISTED);
    let lines = named.into_iter().take(LISTED).map(|(_, line)| line);
    let more = (more > 0).then(|| format!("and {more} more"));
    lines.chain(more).collect()
}

/// Workloads whose names are no business of whoever reads the status.
#[derive(Default)]
struct Others<'a> {
    sources: BTreeSet<&'a Side>,
    flows: f64,
}

impl Others<'_> {
    fn line(&self, destination: &Side) -> String {
        format!(
            "{} of others' workloads, whom this workspace shares nothing with, to {}: {:.0} flows in {WINDOW}",
            self.sources.len(),
            side(destination),
            self.flows
        )
    }
}

fn pair_line(pair: &Pair) -> String {
    let (source, destination) = (side(&pair.source), side(&pair.destination));
    format!(
        "{source} to {destination}: {:.0} flows in {WINDOW}",
        pair.flows
    )
}

fn side(side: &Side) -> String {
    let Slot { cluster, namespace } = &side.slot;
    format!("{cluster}/{namespace}/{}", side.workload)
}

#[cfg(test)]
mod tests;
