//! KubernetesClusters: which clusters take part, and what is said of each in its status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use gloo_api::{
    Approval, ClusterName, KubernetesCluster, State as Verdict,
    enrolment::TokenRecord,
    kubernetes_cluster::{ClusterCondition, KubernetesClusterStatus},
    names,
    state::Common,
};
use gloo_relay::{
    proto::{Refused, refused::Code},
    table::Full,
};
use gloonet_daemon::watching::{Pauses, interrupted};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde_json::json;
use tokio::time::{Instant, interval, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    replicas::{Replicas, surplus},
    shared::Shared,
    state::{Cluster, Connection, Registration},
    tokens::Records,
};

/// Names the digest of a mass removal that somebody confirms.
pub const CONFIRM: &str = "gloo.gloonetwork.io/confirm-removal";
/// How often statuses are written, when they changed, and the Lease of this replica renewed.
const WRITE: Duration = Duration::from_secs(5);
/// How often it is seen whether replicas have about equally many clusters.
const SPREAD: Duration = Duration::from_mins(1);

/// The KubernetesClusters there are.
pub type Seen = BTreeMap<ClusterName, KubernetesCluster>;

/// Follows the KubernetesClusters until `closing`.
pub async fn run(
    client: Client,
    shared: Arc<Shared>,
    records: Arc<Records>,
    replicas: Replicas,
    closing: CancellationToken,
) {
    let api: Api<KubernetesCluster> = Api::namespaced(client, names::NAMESPACE);
    let config = watcher::Config::default();
    let mut events = watcher(api.clone(), config)
        .backoff(Pauses::default())
        .boxed();
    let (mut seen, mut listed) = (Seen::new(), Seen::new());
    let mut write = interval(WRITE);
    let mut spread = interval_at(Instant::now() + SPREAD, SPREAD);
    let mut alive = BTreeSet::new();
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            event = events.next() => {
                let Some(event) = event else { return };
                if follow(event, &mut seen, &mut listed) {
                    apply(&shared, &records, &seen).await;
                }
            }
            _ = write.tick() => {
                apply(&shared, &records, &seen).await;
                match replicas.renew(Timestamp::now()).await {
                    Ok(now) => {
                        alive = now;
                        statuses(&api, &shared, &mut seen, &alive).await;
                    }
                    Err(error) => tracing::warn!(%error, "the Lease of this replica cannot be renewed"),
                }
            }
            _ = spread.tick() => let_go(&shared, &seen, &alive),
        }
    }
}

/// Ends some streams when this replica serves more than its share; the Service leads their agents to any replica.
fn let_go(shared: &Shared, seen: &Seen, alive: &BTreeSet<String>) {
    let here: Vec<ClusterName> = {
        let state = shared.state();
        let connected = state
            .clusters
            .iter()
            .filter(|(_, c)| c.connection.is_some());
        connected.map(|(name, _)| name.clone()).collect()
    };
    let elsewhere = seen
        .iter()
        .filter(|(name, cluster)| !here.contains(name) && served_by_other(cluster, shared, alive))
        .count();
    let surplus = surplus(here.len(), here.len() + elsewhere, alive.len());
    for name in here.iter().take(surplus) {
        let reason = "another replica of the server has fewer clusters; connect again";
        end(shared, name, Code::Closing, reason.to_owned());
    }
}

fn served_by_other(cluster: &KubernetesCluster, shared: &Shared, alive: &BTreeSet<String>) -> bool {
    let status = cluster.status.as_ref();
    let connected = status.and_then(|status| status.condition("Connected"));
    connected.is_some_and(|condition| {
        let other = |by: &str| by != shared.instance && alive.contains(by);
        condition.is_true() && condition.by().is_some_and(other)
    })
}

/// Takes an event; `true`: the clusters are known and may be others.
fn follow(
    event: Result<Event<KubernetesCluster>, watcher::Error>,
    seen: &mut Seen,
    listed: &mut Seen,
) -> bool {
    match event {
        Ok(Event::Init) => listed.clear(),
        Ok(Event::InitApply(cluster)) => {
            if let Some(name) = name(&cluster) {
                listed.insert(name, cluster);
            }
        }
        Ok(Event::InitDone) => {
            let listed = std::mem::take(listed);
            // Whoever means it deletes them one by one; a list of nothing is more likely the fault of whoever made it.
            if listed.is_empty() && !seen.is_empty() {
                tracing::warn!(
                    "a list without any KubernetesCluster is not believed; they are as they were"
                );
                return false;
            }
            *seen = listed;
            return true;
        }
        Ok(Event::Apply(cluster)) => {
            if let Some(name) = name(&cluster) {
                seen.insert(name, cluster);
                return true;
            }
        }
        Ok(Event::Delete(cluster)) => {
            if let Some(name) = name(&cluster) {
                return seen.remove(&name).is_some();
            }
        }
        Err(error) => interrupted("KubernetesCluster", &error),
    }
    false
}

fn name(cluster: &KubernetesCluster) -> Option<ClusterName> {
    let name = cluster.name_any().parse();
    name.inspect_err(|error| tracing::warn!(%error, "a KubernetesCluster is left out"))
        .ok()
}

/// Of what cannot be read nothing follows.
async fn apply(shared: &Shared, records: &Records, seen: &Seen) {
    match records.refresh().await {
        Ok(records) => register(shared, &records, seen),
        Err(error) => tracing::warn!(%error, "registrations are as they were"),
    }
}

/// Brings the registrations into the state, and ends streams that are no longer allowed.
pub fn register(shared: &Shared, records: &BTreeMap<String, TokenRecord>, seen: &Seen) {
    let mut state = shared.state();
    // A stream that was let in at the very moment its cluster went has not heard of it.
    let there = |c: &Cluster| c.registration.is_some() || c.connection.is_some();
    let gone: Vec<_> = state
        .clusters
        .iter()
        .filter(|(name, c)| there(c) && !seen.contains_key(*name))
        .map(|(name, _)| name.clone())
        .collect();
    for name in gone {
        state.register(&name, None);
        let reason = format!("there is no KubernetesCluster {name} any more; register the cluster");
        end(shared, &name, Code::UnknownCluster, reason);
        shared.wake.notify_one();
    }
    for (name, cluster) in seen {
        let record = records.get(name.as_str());
        let connection = state.clusters.get(name).and_then(|c| c.connection.as_ref());
        if let (Some(record), Some(connection)) = (record, connection)
            && let Some(reason) = lost(name, record, connection)
        {
            end(shared, name, Code::Revoked, reason);
        }
        let new = Some(Registration {
            labels: cluster.labels().clone(),
            skip_warming: cluster.spec.skip_warming,
            generation: cluster.metadata.generation.unwrap_or_default(),
            confirmed: cluster.annotations().get(CONFIRM).cloned(),
            enrolled: record.is_some_and(|record| record.cluster_uid.is_some()),
        });
        if state
            .clusters
            .get(name)
            .is_none_or(|c| c.registration != new)
        {
            state.register(name, new);
            shared.look(name);
        }
    }
    shared.room.divide(seen.len());
}

/// Why a connection is no longer its cluster's. A record that is gone, or cannot be read, says nothing of a stream there is.
fn lost(name: &ClusterName, record: &TokenRecord, connection: &Connection) -> Option<String> {
    if connection.epoch < record.epoch {
        return Some(format!(
            "the certificates of cluster {name} were revoked; to enrol it again run gloonet cluster register {name}"
        ));
    }
    (record.cluster_uid.as_ref() != Some(&connection.cluster_uid)).then(|| {
        format!(
            "cluster {name} was registered anew, and this one has not enrolled since; to enrol it run gloonet cluster register {name}"
        )
    })
}

fn end(shared: &Shared, name: &ClusterName, code: Code, reason: String) {
    shared.channels(name, |channels| {
        let code = code.into();
        channels.end.send_replace(Some(Refused { code, reason }));
    });
}

async fn statuses(
    api: &Api<KubernetesCluster>,
    shared: &Shared,
    seen: &mut Seen,
    alive: &BTreeSet<String>,
) {
    let mut wanted = Vec::new();
    {
        let state = shared.state();
        let cold = state.cold();
        for (name, resource) in seen.iter() {
            let Some(cluster) = state.clusters.get(name) else {
                continue;
            };
            let before = resource.status.clone().unwrap_or_default();
            // Another replica serves it, and speaks of it.
            if cluster.connection.is_none() && served_by_other(resource, shared, alive) {
                continue;
            }
            let full = shared.room.refused(name);
            let status = status(cluster, &before, cold.as_deref(), full, &shared.instance);
            if status != before {
                wanted.push((name.clone(), status));
            }
        }
    }
    for (name, status) in wanted {
        let patch = Patch::Merge(json!({"status": whole(&status)}));
        let parameters = PatchParams::default();
        match api.patch_status(name.as_str(), &parameters, &patch).await {
            Ok(written) => drop(seen.insert(name, written)),
            Err(error) => {
                tracing::warn!(cluster = %name, %error, "the status of a KubernetesCluster cannot be written");
                return;
            }
        }
    }
}

/// A merge leaves alone what is not said: an empty message is said, too.
fn whole(status: &KubernetesClusterStatus) -> serde_json::Value {
    let mut whole = json!(status);
    whole["common"]["State"]["message"] = json!(status.common.state.message);
    whole
}

fn status(
    cluster: &Cluster,
    before: &KubernetesClusterStatus,
    cold: Option<&str>,
    full: Option<Full>,
    instance: &str,
) -> KubernetesClusterStatus {
    let generation = cluster
        .registration
        .as_ref()
        .map_or(0, |given| given.generation);
    let connected = cluster.connection.is_some();
    let warmed = cluster.connection.as_ref().is_some_and(|c| c.warmed);
    let enrolled = cluster
        .registration
        .as_ref()
        .is_some_and(|given| given.enrolled);
    let why = match (connected, enrolled) {
        (true, _) => format!("by {instance}"),
        (false, true) => "its agent has no stream".to_owned(),
        (false, false) => "no agent has enrolled yet".to_owned(),
    };
    let mut sentences: Vec<String> = cold.map(str::to_owned).into_iter().collect();
    sentences.extend(full.map(|full| full.to_string()));
    let held = cluster.held.as_ref().map(|held| {
        format!(
            "{} policies would go at once and stay; confirm with the annotation {CONFIRM}: {}",
            held.removed, held.digest
        )
    });
    sentences.extend(held.clone());
    sentences.extend(cluster.waits.clone());
    sentences.extend(cluster.agent_held.clone());
    if cluster.kill_switch {
        sentences.push("the cluster's own kill switch is on: nothing is applied".to_owned());
    }
    sentences.extend(failed(cluster));
    let approval = match (connected && warmed, sentences.is_empty()) {
        (true, true) => Approval::Accepted,
        (false, _) if !enrolled => Approval::Pending,
        _ => Approval::Warning,
    };
    if !connected {
        sentences.insert(0, why.clone());
    }
    let conditions = [
        ("Connected", connected, why),
        ("Warmed", warmed, String::new()),
        ("Held", held.is_some(), held.unwrap_or_default()),
    ];
    KubernetesClusterStatus {
        common: Common {
            state: Verdict {
                observed_generation: generation,
                approval,
                message: sentences.join("; "),
            },
        },
        conditions: conditions
            .into_iter()
            .map(|(kind, is, message)| new_condition(before, kind, is, message, generation))
            .collect(),
    }
}

fn failed(cluster: &Cluster) -> Option<String> {
    let failed = cluster.said.iter().filter(|(_, said)| !said.applied);
    let (key, first) = failed.clone().next()?;
    let message = &first.message;
    let count = failed.count();
    Some(format!(
        "{count} objects could not be applied, the first: {key}: {message}"
    ))
}

fn new_condition(
    before: &KubernetesClusterStatus,
    kind: &str,
    is: bool,
    message: String,
    generation: i64,
) -> ClusterCondition {
    let status = if is { "True" } else { "False" };
    let same = before
        .condition(kind)
        .filter(|condition| condition.status == status);
    let since = same.and_then(|condition| condition.last_transition_time.clone());
    ClusterCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: if is {
            kind.to_owned()
        } else {
            format!("Not{kind}")
        },
        message,
        last_transition_time: since.or_else(|| Some(Timestamp::now().to_string())),
        observed_generation: Some(generation),
    }
}

#[cfg(test)]
mod tests;
