//! What the life of a stream means to the state. The clock comes in as an argument.

use std::collections::BTreeMap;

use gloo_relay::{
    key::ObjectKey,
    proto::{ObjectError, Refused, Results, refused::Code},
    server::{Admission, Stream},
    table::{Changes, Incoming, Limits, Seat},
    tls::Peer,
};
use gloo_store::Unsaved;
use jiff::Timestamp;

use crate::{
    decode::sentence,
    shared::Shared,
    state::{Connection, Said},
};

/// Errors of one agent that are kept.
const ERRORS: usize = 100;

/// What an agent says, of objects whose names can be read.
fn said(errors: Vec<ObjectError>) -> BTreeMap<ObjectKey, Said> {
    let errors = errors.into_iter().filter_map(|error| {
        let key = ObjectKey::try_from(error.key?).ok()?;
        let message = sentence(&error.message);
        let applied = error.applied;
        Some((key, Said { message, applied }))
    });
    errors.take(ERRORS).collect()
}

/// The agent is served; nobody is, of a cluster that is not registered.
pub fn admit(
    shared: &Shared,
    stream: &Stream,
    peer: &Peer,
    now: Timestamp,
) -> Result<Admission, Refused> {
    let name = &stream.cluster;
    let mut state = shared.state();
    let cluster = state.clusters.entry(name.clone()).or_default();
    if cluster.registration.is_none() {
        return Err(Refused {
            code: Code::UnknownCluster.into(),
            reason: format!("there is no KubernetesCluster {name}; register the cluster"),
        });
    }
    cluster.connection = Some(Connection {
        stream: stream.id,
        epoch: peer.epoch,
        cluster_uid: peer.cluster_uid.clone(),
        warmed: false,
        since: now,
    });
    // Another replica may have served it since, and decided otherwise.
    cluster.desired = None;
    cluster.held = None;
    cluster.waits = None;
    let seat = Seat::new(shared.room.clone(), name.clone());
    let mut held = Incoming::seated(Limits::default(), seat);
    if cluster.known {
        held = held.holding(cluster.objects.clone());
    }
    // Still under the lock: a computation sends what it decides under it, too.
    Ok(shared.channels(name, |channels| {
        channels.end.send_replace(None);
        channels.desired.send_replace(None);
        Admission {
            held,
            desired: channels.desired.subscribe(),
            end: channels.end.subscribe(),
        }
    }))
}

/// The cluster has something else now. The first word of a stream warms it.
pub fn observed(shared: &Shared, stream: &Stream, changes: &Changes, now: Timestamp) {
    {
        let mut state = shared.state();
        let of_it = |connection: &&mut Connection| connection.stream == stream.id;
        let cluster = state.clusters.entry(stream.cluster.clone()).or_default();
        let Some(connection) = cluster.connection.as_mut().filter(of_it) else {
            return;
        };
        if !connection.warmed {
            connection.warmed = true;
            cluster.unsaved = Unsaved::All;
        }
        cluster.heard = Some(now);
        state.observe(&stream.cluster, changes);
    }
    shared.look(&stream.cluster);
    shared.unsaved.notify_one();
}

/// The agent lives.
pub fn heard(shared: &Shared, stream: &Stream, now: Timestamp) {
    let mut state = shared.state();
    if let Some(cluster) = state.clusters.get_mut(&stream.cluster) {
        cluster.heard = Some(now);
    }
}

/// What the agent says of desired objects.
pub fn results(shared: &Shared, stream: &Stream, results: Results) {
    let mut state = shared.state();
    let Some(cluster) = state.clusters.get_mut(&stream.cluster) else {
        return;
    };
    let before = std::mem::replace(&mut cluster.said, said(results.errors));
    let changed = before != cluster.said;
    cluster.kill_switch = results.kill_switch;
    cluster.agent_held = results.held.map(|held| {
        let digest = sentence(&held.digest);
        format!(
            "{} removals wait for confirmRemoval {digest}",
            held.removals
        )
    });
    let failed = cluster.said.iter().filter(|(_, said)| !said.applied);
    if changed && let Some((key, first)) = failed.clone().next() {
        tracing::warn!(cluster = %stream.cluster, errors = failed.count(), object = %key, first = first.message, "an agent could not apply all");
    }
    if changed {
        shared.look_everywhere(&state);
    }
}

/// The stream is gone.
pub fn closed(shared: &Shared, stream: &Stream, why: &str) {
    let mut state = shared.state();
    if let Some(cluster) = state.clusters.get_mut(&stream.cluster)
        && cluster
            .connection
            .as_ref()
            .is_some_and(|c| c.stream == stream.id)
    {
        cluster.connection = None;
        shared.room.let_go(&stream.cluster);
        tracing::info!(cluster = %stream.cluster, reason = why, "the cluster is no longer connected here");
    }
}
