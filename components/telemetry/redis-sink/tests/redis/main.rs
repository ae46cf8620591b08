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

use server::{length, redis, request, sink};

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
    assert!((1790..=1800).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_is_stored_once() {
    let redis = redis().await;
    let mut client = sink(&redis).await;
    let bodies: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    for _ in 0..3 {
        client.export(request("ui", &bodies)).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 100);
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
    let redis = redis().await;
    std::fs::write(redis.credentials().join("password"), "wrong-secret").unwrap();
    let refused = sink(&redis)
        .await
        .export(request("analyzer", &["x".to_owned()]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(!refused.message().contains("wrong-secret"), "{refused}");
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
