//! What of the output may be sent to a cluster now.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_api::{ClusterName, labels::is_owned};
use gloo_relay::{
    budget::{Judgement, MassRemoval},
    key::ObjectKey,
    table::Objects,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    decode, failed, judge,
    state::{Cluster, Held, State, unreadable},
};

/// How long a budget of removals lasts.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

const POLICY: &str = "CiliumNetworkPolicy";

/// Decides what the cluster is to have. `true`: that is another than before.
pub fn decide(state: &mut State, name: &ClusterName, now: Timestamp) -> bool {
    if state.cold().is_some() {
        return false;
    }
    let broken: Vec<(ObjectKey, Bytes)> = state
        .unreadable
        .iter()
        .filter(|((cluster, key), _)| cluster == name && decode::is_gloo(key))
        .map(|((_, key), why)| (key.clone(), unreadable(key, why)))
        .collect();
    let judged = judge::statuses(state, name);
    let failed = failed::statuses(state, name, &judged);
    let unmade = failed::unmade(state, name);
    let behind = state.behind(name, now);
    let Some(cluster) = state.clusters.get_mut(name) else {
        return false;
    };
    // What an agent has not told us of is not ours to change.
    if !cluster.known || cluster.registration.is_none() {
        return false;
    }
    let current = current(name, cluster);
    let mut desired = cluster.wanted.clone();
    // A server that has just started never made the version before; the cluster has it.
    for key in unmade {
        if let Some(bytes) = current.get(&key) {
            desired.entry(key).or_insert_with(|| bytes.clone());
        }
    }
    desired.extend(judged);
    desired.extend(failed);
    desired.extend(broken);
    hold(cluster, &current, &mut desired, now);
    wait(cluster, &current, &mut desired, behind);
    if cluster.desired.as_ref() == Some(&desired) {
        return false;
    }
    cluster.desired = Some(desired);
    true
}

/// Policies the cluster has of us: as pushed, or, before anything was, as observed.
fn current(name: &ClusterName, cluster: &Cluster) -> Objects {
    match &cluster.desired {
        Some(desired) => policies(desired),
        None => policies(&cluster.objects)
            .into_iter()
            .filter_map(|(key, bytes)| Some((key, applied(name, &bytes)?)))
            .collect(),
    }
}

pub(crate) fn policies(objects: &Objects) -> Objects {
    objects
        .iter()
        .filter(|(key, _)| key.kind() == POLICY)
        .map(|(key, bytes)| (key.clone(), bytes.clone()))
        .collect()
}

/// An observed policy of ours, as it was applied.
fn applied(cluster: &ClusterName, bytes: &Bytes) -> Option<Bytes> {
    let object: Value = serde_json::from_slice(bytes).ok()?;
    let metadata = &object["metadata"];
    let labels: BTreeMap<String, String> =
        serde_json::from_value(metadata["labels"].clone()).ok()?;
    if !is_owned(&labels, cluster) {
        return None;
    }
    let object = json!({
        "apiVersion": "cilium.io/v2",
        "kind": POLICY,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
        },
        "spec": object["spec"],
    });
    Some(Bytes::from(object.to_string()))
}

/// Keeps all policies as long as others may know more.
fn wait(cluster: &mut Cluster, current: &Objects, desired: &mut Objects, behind: Option<String>) {
    cluster.waits = None;
    let Some(why) = behind else { return };
    let mut kept = 0;
    for (key, bytes) in current {
        if !desired.contains_key(key) {
            kept += 1;
            desired.insert(key.clone(), bytes.clone());
        }
    }
    if kept > 0 {
        cluster.waits = Some(format!("{kept} policies are removed later: {why}"));
    }
}

/// Keeps policies that would go in too large a number.
fn hold(cluster: &mut Cluster, current: &Objects, desired: &mut Objects, now: Timestamp) {
    let after: BTreeSet<_> = policies(desired).into_keys().collect();
    let fresh = cluster
        .baseline
        .as_ref()
        .is_some_and(|(since, _)| now.duration_since(*since) < WINDOW);
    if !fresh {
        cluster.baseline = Some((now, current.keys().cloned().collect()));
    }
    let Some((_, before)) = &cluster.baseline else {
        return;
    };
    let registration = cluster.registration.as_ref();
    let confirmed = registration.and_then(|given| given.confirmed.clone());
    let judge = |confirmed| MassRemoval::default().judge(before, &after, confirmed);
    let held = match judge(None) {
        Judgement::Hold { removed, digest } if confirmed != Some(digest.to_string()) => {
            Some(Held { removed, digest })
        }
        _ => None,
    };
    if held.is_some() {
        for (key, bytes) in current {
            if !after.contains(key) {
                desired.insert(key.clone(), bytes.clone());
            }
        }
    } else if confirmed.is_some() && judge(None) != Judgement::Proceed {
        // A confirmed removal opens a new budget.
        cluster.baseline = Some((now, after));
    }
    cluster.held = held;
}

#[cfg(test)]
pub(crate) mod tests;
