//! The server's memory and a real redis-server behind it, which is wiped, full, slow and old.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

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
use tokio_util::sync::{CancellationToken, DropGuard};

/// A redis-server of its own; it goes with this value.
struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", ""])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    fn store(&self) -> Store {
        let args = RedisArgs {
            redis_url: format!("redis://127.0.0.1:{}", self.port),
            redis_credentials: None,
            redis_ca: None,
        };
        Store::new(Redis::new(&args), Seal::new(&[9; 32]).unwrap())
    }

    async fn tell<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut connection).await.unwrap()
    }

    /// What another replica reads of the cluster.
    async fn holds(&self, objects: &Objects) -> bool {
        let found = self.store().load(&west(), None).await;
        matches!(found, Ok(Found::Snapshot(_, found)) if found == *objects)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn west() -> ClusterName {
    "west".parse().unwrap()
}

fn object(number: usize) -> (ObjectKey, Bytes) {
    let key = ObjectKey::new("v1", "Service", "shop", &format!("s{number}")).unwrap();
    let text = format!("{{\"metadata\":{{\"generation\":{number}}}}}");
    (key, Bytes::from(text))
}

/// A server that cluster west is connected to.
struct Memory {
    shared: Arc<Shared>,
    _guard: DropGuard,
}

impl Memory {
    fn start(server: &Server) -> Self {
        let mut state = State::new(west(), true);
        state.register(&west(), Some(Registration::default()));
        state.clusters.get_mut(&west()).unwrap().connection = Some(Connection {
            stream: 1,
            epoch: 0,
            warmed: true,
            since: jiff::Timestamp::UNIX_EPOCH,
        });
        let shared = Arc::new(Shared::new(state, "server".to_owned()));
        let closing = CancellationToken::new();
        let store = server.store();
        tokio::spawn(behind::run(shared.clone(), store, closing.clone()));
        Self {
            shared,
            _guard: closing.drop_guard(),
        }
    }

    /// The agent says that it has these.
    fn observe(&self, numbers: std::ops::Range<usize>) {
        let changes = Changes {
            upserts: numbers.map(object).collect(),
            deletes: Vec::new(),
        };
        self.shared.state().observe(&west(), &changes);
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

    async fn saved(&self, server: &Server, what: &str) {
        for _ in 0..300 {
            if server.holds(&self.objects()).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}");
    }
}

fn away(state: &StoreState) -> bool {
    matches!(state, StoreState::Away(_))
}

#[tokio::test]
async fn a_wiped_redis_has_everything_again_although_nothing_changed_and_no_connection_broke() {
    let server = Server::start();
    let memory = Memory::start(&server);
    memory.observe(0..500);
    memory.saved(&server, "the first time").await;
    let () = server.tell(&[b"FLUSHALL"]).await;
    memory.saved(&server, "after it was wiped").await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_an_older_snapshot_is_written_over() {
    let server = Server::start();
    let memory = Memory::start(&server);
    memory.observe(0..100);
    memory.saved(&server, "the older one").await;
    let key = redis_key(&west());
    let old: Vec<u8> = server.tell(&[b"DUMP", key.as_bytes()]).await;
    memory.observe(50..200);
    memory.saved(&server, "the newer one").await;
    let restore: [&[u8]; 5] = [b"RESTORE", key.as_bytes(), b"0", &old, b"REPLACE"];
    let () = server.tell(&restore).await;
    assert_eq!(memory.objects().len(), 200, "what is in memory counts");
    memory.saved(&server, "after it went back in time").await;
}

#[tokio::test]
async fn a_full_redis_costs_nothing_but_the_store_and_gets_everything_once_there_is_room() {
    let server = Server::start();
    let memory = Memory::start(&server);
    memory.observe(0..100);
    memory.saved(&server, "the first time").await;
    let () = server.tell(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).await;
    memory.observe(100..300);
    memory.stores("full", away).await;
    assert_eq!(memory.objects().len(), 300);
    let () = server.tell(&[b"CONFIG", b"SET", b"maxmemory", b"0"]).await;
    memory
        .stores("room", |state| *state == StoreState::Ok)
        .await;
    memory.saved(&server, "once there is room").await;
}

#[tokio::test]
async fn a_redis_that_only_reads_or_answers_late_is_caught_up_with() {
    let server = Server::start();
    let memory = Memory::start(&server);
    memory.observe(0..100);
    memory.saved(&server, "the first time").await;
    // A replica of nobody: it refuses writes.
    let () = server.tell(&[b"REPLICAOF", b"127.0.0.1", b"1"]).await;
    memory.observe(100..200);
    memory.stores("read only", away).await;
    let () = server.tell(&[b"REPLICAOF", b"NO", b"ONE"]).await;
    memory.saved(&server, "once it writes again").await;
    let () = server.tell(&[b"CLIENT", b"PAUSE", b"5000", b"ALL"]).await;
    memory.observe(200..300);
    assert_eq!(memory.objects().len(), 300, "nobody waits for Redis");
    memory.saved(&server, "once it answers again").await;
}
