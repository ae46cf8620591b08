//! What agents send, into the state: the fences are asked and the clock is read here, the rest is [`streams`].

use std::sync::Arc;

use gloo_api::ClusterName;
use gloo_relay::{
    proto::{Ack, Hello, Refused, Results, refused::Code},
    server::{Admission, Hub, Standing, Stream},
    table::Changes,
    tls::Peer,
};
use gloo_store::Moment;
use jiff::Timestamp;

use crate::{fences::Fence, shared::Shared, streams, tokens::Records};

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
        streams::admit(&self.shared, stream, peer, Timestamp::now())
    }

    async fn observed(&self, stream: &Stream, changes: Changes, _full: bool) {
        streams::observed(&self.shared, stream, &changes, Timestamp::now());
    }

    async fn holds(&self, stream: &Stream) -> Result<(), Refused> {
        self.fence(stream, Moment::Open).await
    }

    async fn acked(&self, stream: &Stream, _: Ack) {
        streams::heard(&self.shared, stream, Timestamp::now());
    }

    async fn results(&self, stream: &Stream, results: Results) {
        streams::results(&self.shared, stream, results);
    }

    async fn closed(&self, stream: &Stream, why: String) {
        streams::closed(&self.shared, stream, &why);
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
        key::ObjectKey,
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
        compute(&server.shared, Timestamp::UNIX_EPOCH);
        assert_eq!(given(&first), Some(3));
        server.closed(&stream(1), "it moved".to_owned()).await;
        // What another replica wrote meanwhile.
        let there: Objects = shop(4).upserts.into_iter().collect();
        server.shared.state().restore(&name("west"), there);
        let again = admit(&server, 2).await;
        assert_eq!(given(&again), None);
        compute(&server.shared, Timestamp::UNIX_EPOCH);
        assert_eq!(given(&again), None);
        server.observed(&stream(2), Changes::default(), false).await;
        compute(&server.shared, Timestamp::UNIX_EPOCH);
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
