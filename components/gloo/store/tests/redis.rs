//! The store against a real redis-server: written, read by another replica, killed, wiped, forged.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::time::Duration;

use bytes::Bytes;
use gloo_api::ClusterName;
use gloo_relay::{key::ObjectKey, table::Objects};
use gloo_store::{
    Fences, Found, Holder, Moment, Redis, RedisArgs, Seal, Store, Unsaved, Word, prepare, redis_key,
};
use redis_access::testing::RedisServer;

fn server() -> RedisServer {
    RedisServer::with_password("of-this-test", &[])
}

fn at(server: &RedisServer) -> Redis {
    let args = RedisArgs {
        redis_url: server.url(),
        redis_credentials: Some(server.credentials().to_owned()),
        redis_ca: None,
    };
    Redis::new(&args)
}

fn store(server: &RedisServer) -> Store {
    Store::new(at(server), Seal::new(&[9; 32]).unwrap())
}

fn fences(server: &RedisServer) -> Fences {
    let nonce = || [7; 12];
    Fences::new(at(server), Seal::new(&[9; 32]).unwrap(), nonce)
}

/// The stream of an agent that started then.
fn holder(started_ms: i64) -> Holder {
    Holder {
        instance: format!("agent-{started_ms}"),
        started_ms,
        stream: format!("server/{started_ms}"),
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
    let server = server();
    save(&store(&server), &objects(5000)).await;
    let other = store(&server);
    let Found::Snapshot(head, found) = other.load(&west(), None).await.unwrap() else {
        panic!("a snapshot");
    };
    assert_eq!(found, objects(5000));
    let again = other.load(&west(), Some(&head)).await.unwrap();
    assert!(matches!(again, Found::Same));
}

#[tokio::test]
async fn what_somebody_else_wrote_is_refused_and_what_is_gone_is_nothing() {
    let server = server();
    let store = store(&server);
    save(&store, &objects(10)).await;
    let mut raw = server.connection().await;
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
    let server = server();
    let store = store(&server);
    save(&store, &objects(10)).await;
    let mut raw = server.connection().await;
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
    let mut server = server();
    let store = store(&server);
    save(&store, &objects(10)).await;
    server.stop();
    let asked = tokio::time::timeout(Duration::from_secs(15), store.load(&west(), None)).await;
    assert!(asked.unwrap().is_err());
}

#[tokio::test]
async fn of_many_agents_that_ask_many_replicas_at_once_the_one_that_started_last_is_served() {
    let server = server();
    save(&store(&server), &objects(1)).await;
    let asking: Vec<_> = (0..20)
        .map(|number| {
            let replica = fences(&server);
            tokio::spawn(async move {
                let ours = holder(number * 7 % 20);
                let word = replica.ask(&west(), &ours, Moment::Opening).await.unwrap();
                (ours, word)
            })
        })
        .collect();
    for asked in asking {
        let (ours, word) = asked.await.unwrap();
        assert!(ours.started_ms < 19 || word == Word::Served, "{word:?}");
    }
    let replica = fences(&server);
    for started in 0..20 {
        let ours = Holder {
            stream: "another".to_owned(),
            ..holder(started)
        };
        let word = replica.ask(&west(), &ours, Moment::Opening).await.unwrap();
        let last = started == 19;
        assert_eq!(word == Word::Served, last, "{started}: {word:?}");
    }
}

#[tokio::test]
async fn an_entry_is_no_ones_who_has_not_our_key_and_ends_by_itself() {
    let server = server();
    save(&store(&server), &objects(1)).await;
    let (replica, mut raw) = (fences(&server), server.connection().await);
    let key = "gloonet:v1:fence:west";
    for forged in [
        vec![
            "SET",
            key,
            "{\"instance\": \"x\", \"started_ms\": 9, \"stream\": \"y\"}",
        ],
        vec!["RPUSH", key, "west"],
    ] {
        redis::cmd("DEL")
            .arg(key)
            .exec_async(&mut raw)
            .await
            .unwrap();
        let mut write = redis::cmd(forged[0]);
        write.arg(&forged[1..]).exec_async(&mut raw).await.unwrap();
        let word = replica.ask(&west(), &holder(1), Moment::Opening).await;
        assert_eq!(word.unwrap(), Word::Served, "{forged:?}");
        let lives: i64 = redis::cmd("TTL")
            .arg(key)
            .query_async(&mut raw)
            .await
            .unwrap();
        assert!((1..=60).contains(&lives), "{lives}");
    }
    redis::cmd("PEXPIRE")
        .arg(key)
        .arg(1)
        .exec_async(&mut raw)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let word = replica.ask(&west(), &holder(0), Moment::Opening).await;
    assert_eq!(
        word.unwrap(),
        Word::Served,
        "the later one is gone for good"
    );
}
