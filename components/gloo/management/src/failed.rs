//! Statuses of resources whose policies could not be made, or which an agent could not apply or has a remark about.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_api::{Approval, ClusterName, State as Verdict};
use gloo_relay::{key::ObjectKey, table::OBJECT_BYTES};
use gloo_translate::{PolicyKey, Slot, rule::Origin, verdict::Subject};

use crate::state::{Said, State, place_of, policy_key};

/// Objects a status names at most.
const NAMED: usize = 5;

/// Statuses of a cluster's resources that differ from the translation's because of what agents said. `judged` are those that
/// differ already.
pub fn statuses(
    state: &State,
    cluster: &ClusterName,
    judged: &[(ObjectKey, Bytes)],
) -> Vec<(ObjectKey, Bytes)> {
    let judged: BTreeSet<_> = judged.iter().map(|(key, _)| key).collect();
    let (said, too_large) = (said(state), too_large(state));
    let subjects: BTreeSet<_> = said.keys().chain(too_large.keys()).collect();
    subjects
        .into_iter()
        .filter(|subject| place_of(subject).slot.cluster == *cluster)
        .filter_map(|subject| {
            state.restated(subject, |status| {
                let verdict = status.state_mut();
                if let Some(said) = said.get(subject) {
                    tell(verdict, said);
                }
                if let Some(too_large) = too_large.get(subject) {
                    tell_too_large(verdict, too_large);
                }
            })
        })
        // A dry run makes no policies, so nothing was said of any.
        .filter(|(key, _)| !judged.contains(key))
        .collect()
}

/// By resource, the policies made from it that are too large to hand over, and their bytes.
pub(crate) fn too_large(state: &State) -> BTreeMap<Subject, Vec<(PolicyKey, usize)>> {
    let mut subjects: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if state.too_large.is_empty() {
        return subjects;
    }
    for (key, rule) in state.translator.rules() {
        if let Some(bytes) = state.too_large.get(key) {
            let policies = subjects.entry(subject(&rule.origin)).or_default();
            policies.push((key.clone(), *bytes));
        }
    }
    subjects
}

/// Policies of a cluster that are too large to hand over.
pub fn unmade(state: &State, cluster: &ClusterName) -> Vec<ObjectKey> {
    let keys = state.too_large.keys();
    keys.filter(|key| key.slot.cluster == *cluster)
        .filter_map(|key| policy_key(key).ok())
        .collect()
}

fn subject(origin: &Origin) -> Subject {
    match origin {
        Origin::Settings(place) => Subject::Settings(place.clone()),
        Origin::Access(place) => Subject::Policy(place.clone()),
    }
}

/// By resource, what agents say of the policies made from it.
fn said(state: &State) -> BTreeMap<Subject, Vec<(PolicyKey, &Said)>> {
    let mut wanted: BTreeMap<PolicyKey, &Said> = BTreeMap::new();
    for (cluster, known) in &state.clusters {
        for (key, said) in known
            .said
            .iter()
            .filter(|(key, _)| key.kind() == "CiliumNetworkPolicy")
        {
            let slot = Slot {
                cluster: cluster.clone(),
                namespace: key.namespace().to_owned(),
            };
            let name = key.name().to_owned();
            wanted.insert(PolicyKey { slot, name }, said);
        }
    }
    let mut subjects: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if wanted.is_empty() {
        return subjects;
    }
    for (key, rule) in state.translator.rules() {
        let Some(said) = wanted.get(key) else {
            continue;
        };
        subjects
            .entry(subject(&rule.origin))
            .or_default()
            .push((key.clone(), *said));
    }
    subjects
}

fn tell(verdict: &mut Verdict, said: &[(PolicyKey, &Said)]) {
    let failed = said.iter().filter(|(_, said)| !said.applied).count();
    verdict.approval = match verdict.approval {
        _ if failed > 0 => Approval::Failed,
        Approval::Accepted => Approval::Warning,
        other => other,
    };
    let what = if failed > 0 {
        format!("{failed} policies could not be applied and are tried again")
    } else {
        "applied, with a remark".to_owned()
    };
    let mut named: Vec<_> = said.iter().collect();
    named.sort_by_key(|(_, said)| said.applied);
    let named = named.iter().take(NAMED);
    let named = named.map(|(key, said)| format!("{}: {}", policy(key), said.message));
    add(verdict, &what, named);
}

fn tell_too_large(verdict: &mut Verdict, policies: &[(PolicyKey, usize)]) {
    verdict.approval = Approval::Failed;
    let what = format!(
        "{} policies would be larger than {OBJECT_BYTES} bytes, and what was in force before stays; let in fewer accounts, by importing from fewer workspaces or by AccessPolicies that name who needs what",
        policies.len()
    );
    let named = policies.iter().take(NAMED);
    let named = named.map(|(key, bytes)| format!("{}: {bytes} bytes", policy(key)));
    add(verdict, &what, named);
}

fn policy(key: &PolicyKey) -> String {
    let Slot { cluster, namespace } = &key.slot;
    format!("{cluster} {namespace}/{}", key.name)
}

fn add(verdict: &mut Verdict, what: &str, named: impl Iterator<Item = String>) {
    let named: Vec<_> = named.collect();
    let sentence = format!("{what}: {}", named.join(", "));
    if !verdict.message.is_empty() {
        verdict.message.push_str("; ");
    }
    verdict.message.push_str(&sentence);
}

#[cfg(test)]
mod tests;
