//! The store against a real redis-server: written, read by another replica, killed, wiped, forged.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_relay::{key::ObjectKey, table::Objects};
use gloo_store::{Found, Redis, RedisArgs, Seal, Store, Unsaved, prepare, redis_key};

/// A redis-server of its own; it goes with this value.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "of-this-test").unwrap();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--requirepass", "of-this-test"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            folder,
        }
    }

    fn store(&self) -> Store {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let args = RedisArgs {
            redis_url: url,
            redis_credentials: Some(self.folder.path().to_owned()),
            redis_ca: None,
        };
        Store::new(Redis::new(&args), Seal::new(&[9; 32]).unwrap())
    }

    async fn raw(&self) -> redis::aio::MultiplexedConnection {
        let url = format!("redis://:of-this-test@127.0.0.1:{}", self.port);
        let client = redis::Client::open(url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
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

fn objects(count: usize) -> Objects {
    let object = |n| {
        let key = ObjectKey::new("v1", "Service", "shop", &format!("s{n}")).unwrap();
        (key, Bytes::from(format!("{{\"n\":{n}}}")))
    };
    (0..count).map(object).collect()
}

/// Writes all, once the server answers.
async fn save(store: &Store, objects: &Objects) {
    let mut last = 0u8;
    let mut nonce = || {
        last = last.wrapping_add(1);
        [last; 12]
    };
    let write = prepare(
        store.seal(),
        &west(),
        objects,
        &Unsaved::All,
        None,
        &mut nonce,
    )
    .unwrap();
    for _ in 0..100 {
        if store.save(&west(), &write).await.is_ok() {
            return;
        }
        store.reset().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("redis-server does not answer");
}

#[tokio::test]
async fn another_replica_reads_what_was_written_and_does_not_read_it_twice() {
    let server = Server::start();
    save(&server.store(), &objects(5000)).await;
    let other = server.store();
    let Found::Snapshot(head, found) = other.load(&west(), None).await.unwrap() else {
        panic!("a snapshot");
    };
    assert_eq!(found, objects(5000));
    let again = other.load(&west(), Some(&head)).await.unwrap();
    assert!(matches!(again, Found::Same));
}

#[tokio::test]
async fn what_somebody_else_wrote_is_refused_and_what_is_gone_is_nothing() {
    let server = Server::start();
    let store = server.store();
    save(&store, &objects(10)).await;
    let mut raw = server.raw().await;
    let key = redis_key(&west());
    let mut forge = redis::cmd("HSET");
    forge.arg(&key).arg("head").arg("{\"epoch\": 1}");
    forge.exec_async(&mut raw).await.unwrap();
    let found = store.load(&west(), None).await.unwrap();
    assert!(matches!(found, Found::Refused));
    redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
    let found = store.load(&west(), None).await.unwrap();
    assert!(matches!(found, Found::Nothing));
}

#[tokio::test]
async fn another_kind_of_value_or_an_older_format_under_our_name_is_refused_and_written_over() {
    let server = Server::start();
    let store = server.store();
    save(&store, &objects(10)).await;
    let mut raw = server.raw().await;
    let key = redis_key(&west());
    for write in [
        vec!["SET", &key, "{\"services\": []}"],
        vec!["RPUSH", &key, "west", "east"],
        vec!["HSET", &key, "head", "v0", "0", "objects"],
    ] {
        redis::cmd("DEL")
            .arg(&key)
            .exec_async(&mut raw)
            .await
            .unwrap();
        let mut command = redis::cmd(write[0]);
        command.arg(&write[1..]).exec_async(&mut raw).await.unwrap();
        let found = store.load(&west(), None).await.unwrap();
        assert!(matches!(found, Found::Refused), "{write:?}: {found:?}");
    }
    save(&store, &objects(10)).await;
    let found = store.load(&west(), None).await.unwrap();
    assert!(matches!(found, Found::Snapshot(_, found) if found == objects(10)));
}

#[tokio::test]
async fn a_killed_redis_is_an_error_and_no_hang() {
    let mut server = Server::start();
    let store = server.store();
    save(&store, &objects(10)).await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(15), store.load(&west(), None)).await;
    assert!(asked.unwrap().is_err());
}
