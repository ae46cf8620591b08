//! Statuses of resources whose policies an agent could not apply, or has a remark about.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_api::{Approval, ClusterName, State as Verdict};
use gloo_relay::key::ObjectKey;
use gloo_translate::{PolicyKey, Slot, rule::Origin, verdict::Subject};

use crate::state::{Said, State, place_of};

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
    said(state)
        .into_iter()
        .filter(|(subject, _)| place_of(subject).slot.cluster == *cluster)
        .filter_map(|(subject, said)| {
            state.restated(&subject, |status| tell(status.state_mut(), &said))
        })
        // A dry run makes no policies, so nothing was said of any.
        .filter(|(key, _)| !judged.contains(key))
        .collect()
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
        let subject = match &rule.origin {
            Origin::Settings(place) => Subject::Settings(place.clone()),
            Origin::Access(place) => Subject::Policy(place.clone()),
        };
        subjects
            .entry(subject)
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
    let mut sentences: Vec<_> = Some(verdict.message.clone())
        .filter(|message| !message.is_empty())
        .into_iter()
        .collect();
    let what = if failed > 0 {
        format!("{failed} policies could not be applied and are tried again")
    } else {
        "applied, with a remark".to_owned()
    };
    let mut named: Vec<_> = said.iter().collect();
    named.sort_by_key(|(_, said)| said.applied);
    let named = named.iter().take(NAMED).map(|(key, said)| {
        let Slot { cluster, namespace } = &key.slot;
        format!("{cluster} {namespace}/{}: {}", key.name, said.message)
    });
    sentences.push(format!("{what}: {}", named.collect::<Vec<_>>().join(", ")));
    verdict.message = sentences.join("; ");
}
