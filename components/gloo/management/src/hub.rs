//! What agents send, into the state.

use std::{collections::BTreeMap, sync::Arc};

use gloo_api::ClusterName;
use gloo_relay::{
    key::ObjectKey,
    proto::{Ack, Hello, ObjectError, Refused, Results, refused::Code},
    server::{Admission, Hub, Standing, Stream},
    table::{Changes, Incoming, Limits},
    tls::Peer,
};
use jiff::Timestamp;

use gloo_store::Unsaved;

use crate::{
    decode::sentence,
    shared::Shared,
    state::{Connection, Said},
    tokens::Records,
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

/// Serves the streams.
#[derive(Debug)]
pub struct Server {
    pub shared: Arc<Shared>,
    pub records: Arc<Records>,
}

#[tonic::async_trait]
impl Hub for Server {
    async fn standing(&self, cluster: &ClusterName) -> Standing {
        let registered = {
            let state = self.shared.state();
            let there = state.clusters.get(cluster);
            there.is_some_and(|there| there.registration.is_some())
        };
        match self.records.get(cluster).await {
            Some(record) if registered => Standing::Known {
                epoch: record.epoch,
                cluster_uid: record.cluster_uid,
            },
            _ => Standing::Unknown,
        }
    }

    async fn admit(&self, stream: &Stream, peer: &Peer, _: &Hello) -> Result<Admission, Refused> {
        let name = &stream.cluster;
        let held = {
            let mut state = self.shared.state();
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
                warmed: false,
                since: Timestamp::now(),
            });
            cluster.unsaved = Unsaved::All;
            if cluster.known {
                Incoming::holding(cluster.objects.clone(), Limits::default())
            } else {
                Incoming::default()
            }
        };
        self.shared.look(name);
        Ok(self.shared.channels(name, |channels| {
            channels.end.send_replace(None);
            Admission {
                held,
                desired: channels.desired.subscribe(),
                end: channels.end.subscribe(),
            }
        }))
    }

    async fn observed(&self, stream: &Stream, changes: Changes, _full: bool) {
        {
            let mut state = self.shared.state();
            let of_it = |connection: &&mut Connection| connection.stream == stream.id;
            let cluster = state.clusters.entry(stream.cluster.clone()).or_default();
            let Some(connection) = cluster.connection.as_mut().filter(of_it) else {
                return;
            };
            connection.warmed = true;
            cluster.heard = Some(Timestamp::now());
            state.observe(&stream.cluster, &changes);
        }
        self.shared.look(&stream.cluster);
        self.shared.unsaved.notify_one();
    }

    async fn acked(&self, stream: &Stream, _: Ack) {
        let mut state = self.shared.state();
        if let Some(cluster) = state.clusters.get_mut(&stream.cluster) {
            cluster.heard = Some(Timestamp::now());
        }
    }

    async fn results(&self, stream: &Stream, results: Results) {
        let mut state = self.shared.state();
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
        let names: Vec<_> = state.clusters.keys().cloned().collect();
        drop(state);
        if changed {
            // The resources the objects come from may be anywhere, and their statuses say it.
            for name in &names {
                self.shared.look(name);
            }
        }
    }

    async fn closed(&self, stream: &Stream, why: String) {
        let mut state = self.shared.state();
        if let Some(cluster) = state.clusters.get_mut(&stream.cluster)
            && cluster
                .connection
                .as_ref()
                .is_some_and(|c| c.stream == stream.id)
        {
            cluster.connection = None;
            tracing::info!(cluster = %stream.cluster, reason = why, "the cluster is no longer connected here");
        }
    }
}
