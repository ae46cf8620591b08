//! The server's memory and a real redis-server behind it, which is wiped, full, slow and old.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_mesh_mgmt_server::{
    behind,
    shared::{Shared, StoreState},
    state::{Connection, Registration, State},
};
use gloo_relay::{
    key::ObjectKey,
    table::{Changes, Objects},
};
use gloo_store::{Found, Redis, RedisArgs, Seal, Store, redis_key};
use redis_access::testing::RedisServer;
use tokio_util::sync::{CancellationToken, DropGuard};

fn store(server: &RedisServer) -> Store {
    let args = RedisArgs {
        redis_url: server.url(),
        redis_credentials: None,
        redis_ca: None,
    };
    Store::new(Redis::new(&args), Seal::new(&[9; 32]).unwrap())
}

fn west() -> ClusterName {
    "west".parse().unwrap()
}

fn object(number: usize) -> (ObjectKey, Bytes) {
    let key = ObjectKey::new("v1", "Service", "shop", &format!("s{number}")).unwrap();
    let text = format!("{{\"metadata\":{{\"generation\":{number}}}}}");
    (key, Bytes::from(text))
}

fn changes(numbers: std::ops::Range<usize>) -> Changes {
    Changes {
        upserts: numbers.map(object).collect(),
        deletes: Vec::new(),
    }
}

/// The stream of an agent; `warmed`: it has said all it has.
fn connection(warmed: bool) -> Connection {
    Connection {
        stream: 1,
        epoch: 0,
        cluster_uid: "0000-1111".to_owned(),
        warmed,
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// A server that has just started, with Redis behind it.
fn server(redis: &RedisServer, connection: Option<Connection>) -> (Arc<Shared>, DropGuard) {
    let mut state = State::new(west(), true);
    state.register(&west(), Some(Registration::default()));
    state.clusters.get_mut(&west()).unwrap().connection = connection;
    let shared = Arc::new(Shared::new(state, "server".to_owned()));
    let closing = CancellationToken::new();
    tokio::spawn(behind::run(shared.clone(), store(redis), closing.clone()));
    (shared, closing.drop_guard())
}

/// A server that cluster west is connected to, and the Redis behind it.
struct Memory {
    redis: RedisServer,
    shared: Arc<Shared>,
    _guard: DropGuard,
}

impl Memory {
    /// With so many objects, which are in Redis.
    async fn start(objects: usize) -> Self {
        let redis = RedisServer::start(&[]);
        let (shared, guard) = server(&redis, Some(connection(true)));
        let memory = Self {
            redis,
            shared,
            _guard: guard,
        };
        memory.observe(0..objects);
        memory.saved("the first time").await;
        memory
    }

    /// The stream of the agent ends.
    fn disconnect(&self) {
        let mut state = self.shared.state();
        state.clusters.get_mut(&west()).unwrap().connection = None;
    }

    async fn tell<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let mut connection = self.redis.connection().await;
        command.query_async(&mut connection).await.unwrap()
    }

    /// What Redis has of the cluster.
    async fn dump(&self) -> Vec<u8> {
        let key = redis_key(&west());
        self.tell(&[b"DUMP", key.as_bytes()]).await
    }

    /// Redis goes back to what it had.
    async fn restore(&self, old: &[u8]) {
        let key = redis_key(&west());
        let restore: [&[u8]; 5] = [b"RESTORE", key.as_bytes(), b"0", old, b"REPLACE"];
        self.tell::<()>(&restore).await;
    }

    /// Whether another replica reads what is in memory.
    async fn is_held(&self) -> bool {
        let found = store(&self.redis).load(&west(), None).await;
        matches!(found, Ok(Found::Snapshot(_, found)) if found == self.objects())
    }

    /// The agent says that it has these.
    fn observe(&self, numbers: std::ops::Range<usize>) {
        self.shared.state().observe(&west(), &changes(numbers));
        self.shared.unsaved.notify_one();
    }

    fn objects(&self) -> Objects {
        self.shared.state().clusters[&west()].objects.clone()
    }

    async fn stores(&self, what: &str, is: impl Fn(&StoreState) -> bool) {
        let mut store = self.shared.store.subscribe();
        let reached = tokio::time::timeout(Duration::from_secs(30), store.wait_for(is)).await;
        assert!(reached.is_ok(), "{what}: {:?}", self.shared.store.borrow());
    }

    async fn saved(&self, what: &str) {
        for _ in 0..300 {
            if self.is_held().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}");
    }
}

/// Waits until Redis has what the agent said.
async fn written(redis: &RedisServer, is: impl Fn(&Objects) -> bool) {
    let written = async {
        loop {
            let found = store(redis).load(&west(), None).await;
            if matches!(found, Ok(Found::Snapshot(_, found)) if is(&found)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(20), written).await;
    assert!(written.is_ok(), "what the agent said is not written");
}

fn away(state: &StoreState) -> bool {
    matches!(state, StoreState::Away(_))
}

#[tokio::test]
async fn a_wiped_redis_has_everything_again_although_nothing_changed_and_no_connection_broke() {
    let memory = Memory::start(500).await;
    let () = memory.tell(&[b"FLUSHALL"]).await;
    memory.saved("after it was wiped").await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_an_older_snapshot_is_written_over() {
    let memory = Memory::start(100).await;
    let old = memory.dump().await;
    memory.observe(50..200);
    memory.saved("the newer one").await;
    memory.restore(&old).await;
    assert_eq!(memory.objects().len(), 200, "what is in memory counts");
    memory.saved("after it went back in time").await;
}

#[tokio::test]
async fn a_wiped_redis_has_everything_again_also_when_the_next_change_comes_at_once() {
    let memory = Memory::start(500).await;
    let () = memory.tell(&[b"FLUSHALL"]).await;
    memory.observe(500..501);
    memory.saved("after it was wiped").await;
}

#[tokio::test]
async fn a_redis_that_goes_back_in_time_while_a_cluster_is_away_is_written_over_and_not_believed() {
    let memory = Memory::start(100).await;
    let old = memory.dump().await;
    memory.observe(50..200);
    memory.saved("the newer one").await;
    memory.disconnect();
    memory.restore(&old).await;
    memory.saved("after it went back in time").await;
    assert_eq!(memory.objects().len(), 200, "what is in memory counts");
    let () = memory.tell(&[b"FLUSHALL"]).await;
    memory.saved("after it was wiped").await;
}

#[tokio::test]
async fn what_an_agent_said_last_is_written_although_it_left_at_once_and_the_server_ends() {
    let memory = Memory::start(100).await;
    memory.observe(100..101);
    memory.disconnect();
    let Memory {
        redis,
        shared,
        _guard: guard,
    } = memory;
    drop(guard);
    let expected = shared.state().clusters[&west()].objects.clone();
    written(&redis, |found| *found == expected).await;
}

#[tokio::test]
async fn a_cluster_whose_objects_cannot_be_written_keeps_no_other_from_redis() {
    let memory = Memory::start(100).await;
    let east: ClusterName = "east".parse().unwrap();
    {
        let mut state = memory.shared.state();
        state.register(&east, Some(Registration::default()));
        let (key, _) = object(1);
        let large = Changes {
            upserts: vec![(key, Bytes::from(vec![b'x'; 5 << 20]))],
            deletes: Vec::new(),
        };
        state.observe(&east, &large);
        state.clusters.get_mut(&east).unwrap().connection = Some(connection(true));
    }
    memory.observe(100..200);
    memory.saved("beside one that cannot be written").await;
    memory
        .stores("Redis serves", |state| *state == StoreState::Ok)
        .await;
    assert!(memory.shared.metrics.redis_errors.get() > 0);
}

#[tokio::test]
async fn a_full_redis_costs_nothing_but_the_store_and_gets_everything_once_there_is_room() {
    let memory = Memory::start(100).await;
    let () = memory.tell(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).await;
    memory.observe(100..300);
    memory.stores("full", away).await;
    assert!(memory.shared.metrics.redis_errors.get() > 0);
    assert_eq!(memory.objects().len(), 300);
    let () = memory.tell(&[b"CONFIG", b"SET", b"maxmemory", b"0"]).await;
    memory
        .stores("room", |state| *state == StoreState::Ok)
        .await;
    memory.saved("once there is room").await;
}

#[tokio::test]
async fn a_redis_that_only_reads_or_answers_late_is_caught_up_with() {
    let memory = Memory::start(100).await;
    // A replica of nobody: it refuses writes.
    let () = memory.tell(&[b"REPLICAOF", b"127.0.0.1", b"1"]).await;
    memory.observe(100..200);
    memory.stores("read only", away).await;
    let () = memory.tell(&[b"REPLICAOF", b"NO", b"ONE"]).await;
    memory.saved("once it writes again").await;
    let () = memory.tell(&[b"CLIENT", b"PAUSE", b"5000", b"ALL"]).await;
    memory.observe(200..300);
    assert_eq!(memory.objects().len(), 300, "nobody waits for Redis");
    memory.saved("once it answers again").await;
}

#[tokio::test]
async fn a_replica_that_a_cluster_is_not_connected_to_knows_it_from_redis_and_follows() {
    let memory = Memory::start(100).await;
    let (other, _guard) = server(&memory.redis, None);
    for objects in [100, 200] {
        if objects > 100 {
            // Both before anything is written.
            memory.observe(100..150);
            memory.observe(150..objects);
        }
        let known = async {
            while other.state().clusters[&west()].objects != memory.objects() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let known = tokio::time::timeout(Duration::from_secs(20), known).await;
        assert!(known.is_ok(), "{objects}");
    }
    assert!(other.state().clusters[&west()].known);
    let counted = other.room.uses()[&west()].held;
    assert!(counted > 200 * 600, "it takes memory here, too: {counted}");
}

/// It knows nothing of the cluster yet, and Redis does.
#[tokio::test]
async fn a_server_writes_nothing_before_the_agent_has_said_all_it_has() {
    let memory = Memory::start(100).await;
    let redis = &memory.redis;
    let before = memory.objects();
    // Only the new one is left.
    memory.disconnect();
    let (fresh, _guard) = server(redis, Some(connection(false)));
    fresh.unsaved.notify_one();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let found = store(redis).load(&west(), None).await;
    assert!(matches!(found, Ok(Found::Snapshot(_, found)) if found == before));
    assert!(fresh.state().clusters[&west()].objects.is_empty());
    // Once it has, what it said counts.
    fresh.state().observe(&west(), &changes(0..7));
    fresh.state().clusters.get_mut(&west()).unwrap().connection = Some(connection(true));
    fresh.unsaved.notify_one();
    written(redis, |found| found.len() == 7).await;
}
