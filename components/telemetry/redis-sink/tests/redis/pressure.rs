//! A Redis that is slow, full or away under load: what it does not take is sent back in time and counted, and what was
//! acknowledged is there.

use std::time::{Duration, Instant};

use redis::cmd;
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Status, transport::Channel};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;

use crate::server::{Served, length, redis, redis_and_sink, request};

const KEY: &str = "gloonet:v1:logs:west:ui:::";
/// The sink answers after four seconds, and with its turn and Redis one after the other it would be nine.
const PATIENCE: Duration = Duration::from_secs(8);
const ERRORS: &str = "redis_sink_redis_errors_total";

type Answers = JoinSet<(Result<(), Status>, Duration)>;

/// Sends one batch each, all at once.
fn at_once(client: &LogsServiceClient<Channel>, batches: std::ops::Range<u32>) -> Answers {
    let mut answers = JoinSet::new();
    for n in batches {
        let mut client = client.clone();
        answers.spawn(async move {
            let began = Instant::now();
            let sent = client.export(request("ui", &[format!("line {n}")])).await;
            (sent.map(drop), began.elapsed())
        });
    }
    answers
}

/// As the collector in front does: again until it is taken.
async fn until_taken(client: &LogsServiceClient<Channel>, line: &str) {
    let mut client = client.clone();
    loop {
        match client.export(request("ui", &[line.to_owned()])).await {
            Ok(_) => return,
            Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn while_redis_is_silent_every_batch_is_sent_back_before_the_collector_gives_up_and_counted()
{
    let (redis, served) = redis_and_sink().await;
    let client = served.client().await;
    until_taken(&client, "before").await;
    redis.signal("STOP");
    let mut answers = at_once(&client, 0..12);
    while let Some(answer) = answers.join_next().await {
        let (sent, took) = answer.unwrap();
        assert_eq!(sent.unwrap_err().code(), Code::Unavailable);
        assert!(took < PATIENCE, "{took:?}");
    }
    assert_eq!(served.counted(ERRORS, "kind"), 12);
    assert!(served.counted(ERRORS, "late") > 0);
    redis.signal("CONT");
    for n in 0..12 {
        until_taken(&client, &format!("line {n}")).await;
    }
    assert_eq!(length(&redis, KEY).await, 13);
}

#[tokio::test]
async fn more_batches_than_may_be_under_way_are_sent_back_and_counted_and_none_is_lost() {
    let (redis, served) = redis_and_sink().await;
    redis.signal("STOP");
    let (one, other) = (served.client().await, served.client().await);
    let mut answers = at_once(&one, 0..50);
    for answer in at_once(&other, 50..100).join_all().await {
        answers.spawn(async move { answer });
    }
    while let Some(answer) = answers.join_next().await {
        let (sent, took) = answer.unwrap();
        assert_eq!(sent.unwrap_err().code(), Code::Unavailable);
        assert!(took < PATIENCE, "{took:?}");
    }
    assert!(served.counted(ERRORS, "turn") > 0);
    assert_eq!(served.counted(ERRORS, "kind"), 100);
    redis.signal("CONT");
    for n in 0..100 {
        until_taken(&one, &format!("line {n}")).await;
    }
    assert_eq!(length(&redis, KEY).await, 100);
}

#[tokio::test]
async fn what_was_acknowledged_under_load_is_there_after_redis_was_killed_in_the_middle() {
    let (mut redis, served) = redis_and_sink().await;
    // As it is shipped (`everysec`), a Redis that is killed may owe its disk what it acknowledged while a flush was under way.
    let mut always = cmd("CONFIG");
    always.arg("SET").arg("appendfsync").arg("always");
    let mut connection = redis.connection().await;
    always.exec_async(&mut connection).await.unwrap();
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let client = served.client().await;
        senders.spawn(async move {
            for n in 0..50 {
                until_taken(&client, &format!("sender {sender} line {n}")).await;
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    let stored = || served.counted("redis_sink_records_total", "stored");
    while stored() < 40 {
        sleep(Duration::from_millis(5)).await;
    }
    redis.stop();
    sleep(Duration::from_millis(500)).await;
    assert!(stored() < 400, "it was killed after the end");
    redis.start_again();
    senders.join_all().await;
    assert!(served.counted(ERRORS, "kind") > 0);
    assert_eq!(length(&redis, KEY).await, 400);
}

#[tokio::test]
async fn a_redis_without_memory_takes_nothing_and_gets_everything_once_it_has_some() {
    let redis = redis().await;
    let mut connection = redis.connection().await;
    let mut set = async |name: &str, value: &str| {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        set.exec_async(&mut connection).await.unwrap();
    };
    set("maxmemory-policy", "noeviction").await;
    set("maxmemory", "1mb").await;
    let served = Served::start(&redis).await;
    let client = served.client().await;
    let body = |n: u32| format!("{n} {}", "x".repeat(100_000));
    let mut refused = None;
    let mut taken = 0;
    while refused.is_none() && taken < 100 {
        match client.clone().export(request("ui", &[body(taken)])).await {
            Ok(_) => taken += 1,
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(served.counted(ERRORS, "write") > 0);
    assert_eq!(length(&redis, KEY).await, u64::from(taken));
    set("maxmemory", "0").await;
    for n in taken..taken + 20 {
        until_taken(&client, &body(n)).await;
    }
    assert_eq!(length(&redis, KEY).await, u64::from(taken) + 20);
}
