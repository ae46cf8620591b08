//! Two replicas and a real redis-server: of two agents of one cluster one is served, whichever replica they ask.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{convert::Infallible, sync::Arc};

use gloo_mesh_mgmt_server::{
    fences::Fence,
    hub::Server,
    metrics,
    shared::Shared,
    state::{Registration, State},
    tokens::Records,
};
use gloo_relay::{
    proto::{Hello, Refused, refused::Code},
    server::{Hub, Stream},
    session::Claim,
    tls::Peer,
};
use gloo_store::{Fences, Redis, RedisArgs, Seal};
use kube::client::Body;
use redis_access::testing::RedisServer;

/// A replica that west may connect to; no API server is behind it.
fn replica(redis: &RedisServer, name: &str) -> Server {
    let args = RedisArgs {
        redis_url: redis.url(),
        redis_credentials: None,
        redis_ca: None,
    };
    let entries = Fences::new(
        Redis::new(&args),
        Seal::new(&[9; 32]).unwrap(),
        rand::random,
    );
    let mut state = State::new("mgmt".parse().unwrap(), true);
    state.register(&"west".parse().unwrap(), Some(Registration::default()));
    let nobody = tower::service_fn(async |_: http::Request<Body>| {
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    });
    let shared = Arc::new(Shared::new(state, name.to_owned()));
    Server {
        records: Arc::new(Records::new(
            kube::Client::new(nobody, "default"),
            shared.metrics.refused_enrolments.clone(),
        )),
        fence: Some(Fence::new(entries, shared.clone())),
        shared,
    }
}

fn stream(id: u64, instance: &str, started_ms: i64) -> Stream {
    Stream {
        id,
        cluster: "west".parse().unwrap(),
        claim: Claim {
            instance: instance.to_owned(),
            started_ms,
        },
    }
}

async fn admit(server: &Server, stream: &Stream) -> Result<(), Refused> {
    let peer = Peer {
        cluster: stream.cluster.clone(),
        cluster_uid: "0000-1111".to_owned(),
        epoch: 0,
        not_before: 0,
        not_after: 0,
    };
    let admitted = server.admit(stream, &peer, &Hello::default()).await;
    admitted.map(drop)
}

/// A redis-server that answers, and two replicas that ask it.
async fn two_replicas() -> (RedisServer, Server, Server) {
    let redis = RedisServer::start(&[]);
    drop(redis.connection().await);
    let (a, b) = (replica(&redis, "a"), replica(&redis, "b"));
    (redis, a, b)
}

#[tokio::test]
async fn an_older_agent_is_refused_by_the_replica_the_newer_one_is_not_connected_to() {
    let (_redis, a, b) = two_replicas().await;
    let (old, new) = (stream(1, "old", 1), stream(1, "new", 2));
    admit(&a, &new).await.unwrap();
    let refused = admit(&b, &old).await.unwrap_err();
    assert_eq!(refused.code(), Code::Fenced);
    assert!(refused.reason.contains("\"new\""), "{}", refused.reason);
    b.refused(&old.cluster, refused.code());
    let text = metrics::text(&b.shared).unwrap();
    let counted = "gloo_mesh_relay_refused_streams_total{cluster=\"west\",reason=\"fenced\"} 1\n";
    assert!(text.contains(counted), "{text}");
    let connected = |server: &Server| {
        let state = server.shared.state();
        state.clusters[&"west".parse().unwrap()]
            .connection
            .is_some()
    };
    assert!(connected(&a) && !connected(&b));
}

#[tokio::test]
async fn the_stream_of_an_older_agent_ends_once_another_replica_serves_the_newer_one() {
    let (_redis, a, b) = two_replicas().await;
    let (old, new) = (stream(1, "old", 1), stream(1, "new", 2));
    admit(&a, &old).await.unwrap();
    a.holds(&old).await.unwrap();
    admit(&b, &new).await.unwrap();
    assert_eq!(a.holds(&old).await.unwrap_err().code(), Code::Fenced);
    b.holds(&new).await.unwrap();
    // The same agent, at the first replica again: its stream of before is not another agent's.
    let moved = stream(2, "new", 2);
    admit(&a, &moved).await.unwrap();
    assert_eq!(b.holds(&new).await.unwrap_err().code(), Code::Closing);
    a.holds(&moved).await.unwrap();
}

#[tokio::test]
async fn without_redis_each_replica_decides_by_its_own_streams_and_says_so() {
    let (mut redis, a, b) = two_replicas().await;
    let (old, new) = (stream(1, "old", 1), stream(1, "new", 2));
    admit(&a, &new).await.unwrap();
    redis.stop();
    admit(&b, &old).await.unwrap();
    b.holds(&old).await.unwrap();
    let away = b.shared.fences.borrow().clone();
    assert!(away.is_some_and(|why| why.contains("Redis")));
}

#[tokio::test]
async fn a_redis_that_was_wiped_is_told_again_who_is_served() {
    let (redis, a, b) = two_replicas().await;
    let (old, new) = (stream(1, "old", 1), stream(1, "new", 2));
    admit(&a, &new).await.unwrap();
    let mut raw = redis.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
    admit(&b, &old).await.unwrap();
    a.holds(&new).await.unwrap();
    assert_eq!(b.holds(&old).await.unwrap_err().code(), Code::Fenced);
}
