//! What agents send, into the state.

use std::{collections::BTreeMap, sync::Arc};

use gloo_api::ClusterName;
use gloo_relay::{
    key::ObjectKey,
    proto::{Ack, Hello, ObjectError, Refused, Results, refused::Code},
    server::{Admission, Hub, Standing, Stream},
    table::{Changes, Incoming, Limits, Seat},
    tls::Peer,
};
use jiff::Timestamp;

use gloo_store::{Moment, Unsaved};

use crate::{
    decode::sentence,
    fences::Fence,
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
    /// `None`: there is no other replica.
    pub fence: Option<Fence>,
}

impl Server {
    async fn fence(&self, stream: &Stream, when: Moment) -> Result<(), Refused> {
        match &self.fence {
            Some(fence) => fence.ask(stream, when).await,
            None => Ok(()),
        }
    }
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
        self.fence(stream, Moment::Opening).await?;
        let name = &stream.cluster;
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
            cluster_uid: peer.cluster_uid.clone(),
            warmed: false,
            since: Timestamp::now(),
        });
        // Another replica may have served it since, and decided otherwise.
        cluster.desired = None;
        cluster.held = None;
        let seat = Seat::new(self.shared.room.clone(), name.clone());
        let mut held = Incoming::seated(Limits::default(), seat);
        if cluster.known {
            held = held.holding(cluster.objects.clone());
        }
        // Still under the lock: a computation sends what it decides under it, too.
        Ok(self.shared.channels(name, |channels| {
            channels.end.send_replace(None);
            channels.desired.send_replace(None);
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
            if !connection.warmed {
                connection.warmed = true;
                cluster.unsaved = Unsaved::All;
            }
            cluster.heard = Some(Timestamp::now());
            state.observe(&stream.cluster, &changes);
        }
        self.shared.look(&stream.cluster);
        self.shared.unsaved.notify_one();
    }

    async fn holds(&self, stream: &Stream) -> Result<(), Refused> {
        self.fence(stream, Moment::Open).await
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
        if changed {
            self.shared.look_everywhere(&state);
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
            self.shared.room.let_go(&stream.cluster);
            tracing::info!(cluster = %stream.cluster, reason = why, "the cluster is no longer connected here");
        }
    }

    fn refused(&self, cluster: &ClusterName, why: Code) {
        self.shared.metrics.refused(cluster, why);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use gloo_relay::{
        digest::Digest,
        session::Claim,
        table::{Objects, Outgoing, Source},
    };
    use kube::client::Body;

    use super::*;
    use crate::{
        metrics::RefusedEnrolments,
        push::tests::{name, registered, shop},
        state::{Held, State},
        sync::compute,
    };

    /// A server that cluster west may connect to; no API server is behind it.
    fn server() -> Server {
        let mut state = State::new(name("west"), true);
        state.register(&name("west"), Some(registered()));
        let nobody = tower::service_fn(async |_: http::Request<Body>| {
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        });
        Server {
            shared: Arc::new(Shared::new(state, "server".to_owned())),
            records: Arc::new(Records::new(
                kube::Client::new(nobody, "default"),
                RefusedEnrolments::default(),
            )),
            fence: None,
        }
    }

    fn stream(id: u64) -> Stream {
        Stream {
            id,
            cluster: name("west"),
            claim: Claim {
                instance: "one".to_owned(),
                started_ms: 1,
            },
        }
    }

    async fn admit(server: &Server, id: u64) -> Admission {
        let peer = Peer {
            cluster: name("west"),
            cluster_uid: "0000-1111".to_owned(),
            epoch: 0,
            not_before: 0,
            not_after: 0,
        };
        let admission = server.admit(&stream(id), &peer, &Hello::default()).await;
        admission.unwrap()
    }

    /// Policies the stream is given.
    fn given(admission: &Admission) -> Option<usize> {
        let source = admission.desired.borrow();
        let policies = |(key, _): &(&ObjectKey, _)| key.kind() == "CiliumNetworkPolicy";
        source
            .as_ref()
            .map(|source| source.iter().filter(policies).count())
    }

    #[tokio::test]
    async fn a_cluster_that_was_elsewhere_gets_nothing_decided_before_it_left_nor_before_it_said_all()
     {
        let server = server();
        let first = admit(&server, 1).await;
        server.observed(&stream(1), shop(3), true).await;
        compute(&server.shared);
        assert_eq!(given(&first), Some(3));
        server.closed(&stream(1), "it moved".to_owned()).await;
        // What another replica wrote meanwhile.
        let there: Objects = shop(4).upserts.into_iter().collect();
        server.shared.state().restore(&name("west"), there);
        let again = admit(&server, 2).await;
        assert_eq!(given(&again), None);
        compute(&server.shared);
        assert_eq!(given(&again), None);
        server.observed(&stream(2), Changes::default(), false).await;
        compute(&server.shared);
        assert_eq!(given(&again), Some(4));
    }

    #[tokio::test]
    async fn what_is_arriving_counts_as_long_as_its_stream_and_what_was_taken_stays_counted() {
        let server = server();
        let mut held = admit(&server, 1).await.held;
        let objects: Objects = shop(20).upserts.into_iter().collect();
        let mut source = Source::default();
        for (key, bytes) in &objects {
            source.set(key.clone(), bytes.clone());
        }
        let mut large = source.clone();
        let key = ObjectKey::new("v1", "Pod", "shop", "large").unwrap();
        large.set(key, vec![b'x'; 2 << 20].into());
        let used = || server.shared.room.uses()[&name("west")].clone();
        let part = Outgoing::new(1).next(&large).unwrap().unwrap();
        held.take(&part).unwrap();
        assert!(used().arriving > 0);
        server.closed(&stream(1), "cut".to_owned()).await;
        assert_eq!(used().arriving, 0);
        let mut held = admit(&server, 2).await.held;
        held.take(&Outgoing::new(1).next(&source).unwrap().unwrap())
            .unwrap();
        assert!(used().held > 20 * 600, "{:?}", used());
    }

    #[tokio::test]
    async fn what_an_agent_said_here_is_forgotten_once_another_replica_serves_its_cluster() {
        let server = server();
        admit(&server, 1).await;
        server.observed(&stream(1), shop(3), true).await;
        let results = Results {
            kill_switch: true,
            ..Results::default()
        };
        server.results(&stream(1), results).await;
        server.closed(&stream(1), "it moved".to_owned()).await;
        assert!(server.shared.state().clusters[&name("west")].kill_switch);
        if let Some(west) = server.shared.state().clusters.get_mut(&name("west")) {
            west.held = Some(Held {
                removed: 9,
                digest: Digest::default(),
            });
        }
        let there: Objects = shop(4).upserts.into_iter().collect();
        server.shared.state().restore(&name("west"), there);
        let state = server.shared.state();
        let west = &state.clusters[&name("west")];
        assert!(!west.kill_switch && west.held.is_none());
    }
}
