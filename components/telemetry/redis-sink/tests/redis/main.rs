//! The sink between a real client and a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

mod hostile;
mod pressure;
mod server;

use redis::cmd;
use tonic::Code;

use server::{length, redis, redis_and_sink, request, sink};

#[tokio::test]
async fn of_an_analyzer_only_the_last_two_records_stay_and_they_expire() {
    let redis = redis().await;
    let mut connection = redis.connection().await;
    let mut client = sink(&redis).await;
    let bodies = ["first", "second", "third"].map(str::to_owned);
    client.export(request("analyzer", &bodies)).await.unwrap();
    let key = "gloonet:v1:logs:west:analyzer:images:0";
    let entries: Vec<(String, Vec<String>)> = cmd("XRANGE")
        .arg(key)
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].1[1].contains("second"), "{entries:?}");
    assert!(entries[1].1[1].contains("third"), "{entries:?}");
    let seconds: i64 = cmd("TTL")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!((21_590..=21_600).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_is_stored_once() {
    let (redis, served) = redis_and_sink().await;
    let mut client = served.client().await;
    // And one that is in it twice.
    let bodies: Vec<String> = (0..101).map(|n| format!("line {}", n % 100)).collect();
    for _ in 0..3 {
        client.export(request("ui", &bodies)).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 100);
    let counted = |result| served.counted("redis_sink_records_total", result);
    assert_eq!((counted("stored"), counted("known")), (100, 203));
}

/// The entry alone would be stored once more when it is sent again.
#[tokio::test]
async fn an_entry_and_the_memory_of_it_are_stored_together_or_not_at_all() {
    let (redis, served) = redis_and_sink().await;
    let mut client = served.client().await;
    let mut connection = redis.connection().await;
    let mut may_set = async |word: &str| {
        let mut change = cmd("ACL");
        change.arg("SETUSER").arg("default").arg(word);
        change.exec_async(&mut connection).await.unwrap();
    };
    let key = "gloonet:v1:logs:west:ui:::";
    let batch = request("ui", &["line".to_owned()]);
    may_set("-set").await;
    let refused = client.export(batch.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert_eq!(length(&redis, key).await, 0);
    may_set("+set").await;
    client.export(batch).await.unwrap();
    assert_eq!(length(&redis, key).await, 1);
}

#[tokio::test]
async fn a_connection_that_redis_closed_meanwhile_costs_no_batch() {
    let (redis, served) = redis_and_sink().await;
    let mut client = served.client().await;
    for n in 0..5 {
        let sent = client.export(request("ui", &[format!("line {n}")])).await;
        assert!(sent.is_ok(), "{n}: {sent:?}");
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal");
        let mut connection = redis.connection().await;
        kill.exec_async(&mut connection).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 5);
    assert_eq!(served.counted("redis_sink_redis_errors_total", "kind"), 0);
}

#[tokio::test]
async fn flows_stay_up_to_their_bound_and_leave_nothing_else_behind() {
    let redis = redis().await;
    let mut client = sink(&redis).await;
    let flows: Vec<String> = (0..5000)
        .map(|n| format!("{n} {}", "x".repeat(1500)))
        .collect();
    for batch in flows.chunks(1000) {
        client.export(request("cilium_flows", batch)).await.unwrap();
    }
    let stream = "gloonet:v1:logs:west:cilium_flows:";
    let kept = length(&redis, stream).await;
    assert!((2000..2100).contains(&kept), "{kept}");
    let keys: Vec<String> = cmd("KEYS")
        .arg("*")
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    assert_eq!(keys, [stream]);
}

#[tokio::test]
async fn while_redis_is_away_batches_are_sent_back_and_afterwards_nothing_is_missing() {
    let mut redis = redis().await;
    let mut client = sink(&redis).await;
    let batch = |n: u32| request("ui", &[format!("line {n}")]);
    client.export(batch(0)).await.unwrap();
    redis.stop();
    let refused = client.export(batch(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    redis.start_again();
    redis.connection().await;
    for n in 1..5 {
        client.export(batch(n)).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 5);
}

#[tokio::test]
async fn a_wrong_password_sends_batches_back_and_is_not_told_to_anybody() {
    let (redis, served) = redis_and_sink().await;
    let password = redis.credentials().join("password");
    let errors = |kind| served.counted("redis_sink_redis_errors_total", kind);
    let refused = async || {
        let batch = request("analyzer", &["x".to_owned()]);
        let refused = served.client().await.export(batch).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(!refused.message().contains("wrong-secret"), "{refused}");
    };
    std::fs::write(&password, "wrong-secret").unwrap();
    refused().await;
    assert_eq!((errors("connect"), errors("kind")), (1, 1));
    std::fs::remove_file(&password).unwrap();
    refused().await;
    assert_eq!((errors("file"), errors("kind")), (1, 2));
}

#[tokio::test]
async fn what_is_refused_is_counted_to_the_sender_and_the_rest_is_stored() {
    let redis = redis().await;
    let mut both = request("analyzer", &["good".to_owned()]);
    both.resource_logs
        .extend(request("", &["without source".to_owned()]).resource_logs);
    let answer = sink(&redis).await.export(both).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 1);
    assert!(partial.error_message.contains("source"), "{partial:?}");
    assert_eq!(
        length(&redis, "gloonet:v1:logs:west:analyzer:images:0").await,
        1
    );
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_and_the_next_one_served() {
    let redis = redis().await;
    let mut client = sink(&redis).await;
    let huge = request("ui", &["x".repeat(9 * 1024 * 1024)]);
    let refused = client.export(huge).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    client
        .export(request("ui", &["small".to_owned()]))
        .await
        .unwrap();
}
